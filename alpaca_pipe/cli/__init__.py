"""The commands: one short function each; the work is done in the rooms below."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.core.errors import Stopped, UserError

if TYPE_CHECKING:
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.workspace import Workspace

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
                  help="From seed tasks to a tuned instruction model, with a ledger that knows every cent. "
                       "Add --debug to any command to see the traceback of an error.")
setup_app = typer.Typer(no_args_is_help=True, help="Fetch what a recipe needs on this machine.")
app.add_typer(setup_app, name="setup")

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="For example generate.count=100")]
Runs = Annotated[Path, typer.Option("--runs", envvar="ALPACA_PIPE_RUNS", help="The workspace folder.")]
Rehearsed = Annotated[bool, typer.Option("--rehearse", help="Of the rehearsal instead of the real run.")]


@app.command()
def run(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs"),
        until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
        only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")] = None,
        rehearse: Annotated[bool, typer.Option(help="Every stage in minutes for $0, in a folder of its own.")] = False,
        ) -> None:
    """Run what must run of RECIPE; what is up to date is left alone."""
    from rich.console import Console

    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.runner import run as run_recipe
    from alpaca_pipe.report.closing import close

    loaded, workspace = _open(recipe, overrides, runs, rehearse)
    console = Console(soft_wrap=True)
    run_recipe(loaded, CATALOG, workspace, console, until=until, only=only, rehearsal=rehearse)
    for line in close(workspace.root, loaded.name):
        console.print(line, highlight=False, markup=False)


@app.command()
def plan(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """Say for each step of RECIPE whether it must run, why, and what it will take. Nothing is run."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.planner.forecast import print_plan

    loaded, workspace = _open(recipe, overrides, runs, rehearse)
    print_plan(loaded, CATALOG, workspace, rehearse)


@app.command()
def rows(recipe: RecipeName, runs: Runs = Path("runs"), rehearse: Rehearsed = False,
         rejected: Annotated[bool, typer.Option(help="The dropped rows, with their reasons.")] = False,
         rule: Annotated[str | None, typer.Option(help="Only what this rule dropped.")] = None,
         sample: Annotated[int | None, typer.Option(min=1, help="So many, drawn at random.")] = None,
         grep: Annotated[str | None, typer.Option(help="Only rows that match this regular expression.")] = None) -> None:
    """List the rows of RECIPE's last run with their ids."""
    from alpaca_pipe.report.rows import print_rows

    name, workspace = _finished(recipe, runs, rehearse)
    print_rows(workspace, name, rejected=rejected or rule is not None, rule=rule, sample=sample, grep=grep)


@app.command()
def trace(id: Annotated[str, typer.Argument(metavar="ID", help="An example's id, or its beginning.")],
          runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """The whole way of one example: seeds, prompt, reply, verdicts, and its cents."""
    from alpaca_pipe.report.trace import print_trace

    print_trace(runs / "rehearsal" if rehearse else runs, id)


@app.command()
def report(recipe: RecipeName, runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """Write the report of RECIPE's last run anew and print its path."""
    from alpaca_pipe.report.page import write

    name, workspace = _finished(recipe, runs, rehearse)
    typer.echo(write(workspace, name))


@app.command()
def history(recipe: RecipeName, runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """The dated runs of RECIPE: how each ended, what it ran, where its report is."""
    from alpaca_pipe.report.closing import history_lines

    name, workspace = _finished(recipe, runs, rehearse)
    for line in history_lines(workspace, name):
        typer.echo(line)


@app.command()
def ledger(runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """What was spent in this workspace, by recipe and stage."""
    from alpaca_pipe.ledger.statement import print_statement

    print_statement((runs / "rehearsal" if rehearse else runs) / "ledger.sqlite")


@app.command()
def recipes() -> None:
    """The recipes that are shipped, each with the first line of its head comment."""
    from alpaca_pipe.core.files import shipped

    for path in sorted(shipped("recipes").glob("*.yaml")):
        typer.echo(f"{path.stem:<22} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")


@app.command()
def schema() -> None:
    """The JSON Schema of a recipe, for an editor's completion."""
    import json

    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.schema import recipe_model

    typer.echo(json.dumps(recipe_model(CATALOG).model_json_schema(by_alias=True), indent=2))


@app.command()
def show_mask(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs"), rehearse: Rehearsed = False,
              row: Annotated[int, typer.Option(min=0, help="Which training row.")] = 0) -> None:
    """Show a training row as the model sees it: learned tokens in colour, prompt tokens dim."""
    from alpaca_pipe.train.stage import print_mask

    loaded, workspace = _open(recipe, overrides, runs, rehearse)
    print_mask(loaded.everything(), _result(workspace, loaded.name, "curate") / "train.jsonl", row)


@app.command()
def doctor(recipe: Annotated[str, typer.Argument(metavar="[RECIPE]", help="Whose needs to check.")] = "quickstart",
           runs: Runs = Path("runs")) -> None:
    """Check this machine: Python, memory, disk, GPU, key, local model; each with its cure."""
    from alpaca_pipe.doctor import print_checks

    loaded, workspace = _open(recipe, None, runs, False)
    raise typer.Exit(0 if print_checks(loaded, workspace.root) else 2)


@setup_app.command("local")
def setup_local() -> None:
    """Fetch the embedded model (93 MB, once) and export its training checkpoint to the user's cache."""
    from importlib.util import find_spec

    from alpaca_pipe.weights.checkpoint import export_gguf
    from alpaca_pipe.weights.fetch import fetch_gguf
    from alpaca_pipe.weights.known import SMOLLM2

    typer.echo(f"local model: {fetch_gguf(SMOLLM2.name, typer.echo)}")
    if find_spec("torch") is None:
        typer.echo("training checkpoint: not made, the extra 'train' is not installed")
    else:
        typer.echo(f"training checkpoint: {export_gguf(SMOLLM2.name, typer.echo)}")


def main() -> None:
    """The console script. Exit codes: 0 done, 1 our fault, 2 yours to mend, 130 stopped."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    from alpaca_pipe.recipe.weather import plain_disk_errors

    try:
        with plain_disk_errors(Path.cwd()):
            app()
    except Stopped:
        _fail("stopped; all finished work is kept - run the same command again to go on", 130)
    except UserError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and (extra := _extra_of(error.name or "")):
            _fail(f"{error.name} is not installed - pip install 'alpaca-pipe[{extra}]'", 2)
        _fail(f"a fault of ours: {type(error).__name__}: {error} - run again with --debug and report what it prints", 1)


def _open(name: str, overrides: list[str] | None, runs: Path, rehearse: bool) -> tuple[Recipe, Workspace]:
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.schema import load_recipe
    from alpaca_pipe.recipe.workspace import Workspace

    loaded = load_recipe(name, CATALOG, overrides or ())
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise UserError(f"{there} is a file, not a folder", "choose another workspace with --runs")
    if not rehearse:
        return loaded, Workspace(runs)
    rehearsed = loaded.rehearsed()
    typer.echo(f"a rehearsal sets: {', '.join(rehearsed.differences(loaded))}")
    return rehearsed, Workspace(runs).rehearsal()


def _finished(name: str, runs: Path, rehearse: bool) -> tuple[str, Path]:
    """A recipe's name and workspace for commands that only read: the recipe file need not be there any more."""
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(runs).rehearsal() if rehearse else Workspace(runs)
    own = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    if not workspace.lock(own):
        own = _open(name, None, runs, rehearse)[0].name
    if not workspace.lock(own):
        raise UserError(f"{own}: nothing was run in {workspace.root}", f"start with `alpaca-pipe run {name}`")
    return own, workspace.root


def _result(workspace: Workspace, recipe: str, stage: str) -> Path:
    from alpaca_pipe.report.disk import left

    folder = left(workspace.root, recipe).step(stage).folder
    if folder is None:
        raise UserError(f"{recipe}: {stage} was not run yet", f"run `alpaca-pipe run {recipe} --until {stage}`")
    return folder


def _extra_of(module: str) -> str | None:
    """The extra of ours that brings a module."""
    extras = {"local": ("xllamacpp",), "report": ("matplotlib", "jinja2", "markupsafe"),
              "train": ("torch", "transformers", "trl", "peft", "accelerate", "gguf", "numpy", "safetensors", "tokenizers")}
    return next((extra for extra, modules in extras.items() if module.split(".")[0] in modules), None)


def _fail(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    sys.exit(code)
