"""The commands of the road: from a recipe to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import Json, Overrides, RecipeName, Rehearsed, Runs, finished, opened, result
from alpaca_pipe.core.errors import UserError

app = typer.Typer()


@app.command()
def run(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs"),
        until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
        only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")] = None,
        rehearse: Annotated[bool, typer.Option(help="Every stage in minutes for $0, in a folder of its own.")] = False,
        spend: Annotated[bool | None, typer.Option("--spend/--no-spend", help="Whether new requests may be sent; default: all "
                         "but those that only fill up what a changed filter dropped.")] = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="Ask anew where a prompt has changed, instead of judging the "
                                                          "earlier reply.")] = False) -> None:
    """Run what must run of RECIPE; what is up to date is left alone."""
    from rich.console import Console

    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.runner import run as run_recipe
    from alpaca_pipe.report.closing import close

    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    console = Console(soft_wrap=True)
    run_recipe(loaded, CATALOG, workspace, console, until=until, only=only, rehearsal=rehearse,
               spend=spend, fresh=fresh)
    for line in close(workspace.root, loaded.name):
        console.print(line, highlight=False, markup=False)


@app.command()
def plan(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs"), rehearse: Rehearsed = False,
         as_json: Json = False) -> None:
    """Say for each step of RECIPE whether it must run, why, and what it will take. Nothing is run."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.planner.page import print_plan

    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    print_plan(loaded, CATALOG, workspace, rehearse, as_json)


@app.command()
def curate(source: Annotated[str, typer.Argument(metavar="FILE", help="JSON, JSONL, CSV, Parquet (.gz, .zst too), ShareGPT, "
                                                  "messages, a folder, or hub:OWNER/NAME.")],
           out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")],
           likeness: Annotated[str | None, typer.Option(help="ROUGE-L F above which a later row is a duplicate; default 0.7.")] = None,
           words: Annotated[str | None, typer.Option(help="unicode, or rouge: rouge-score's tokens.")] = None,
           filters: Annotated[str, typer.Option(help="none, stanford, default, or names: media,empty_output")] = "default",
           engine: Annotated[str | None, typer.Option(help="local, or ray.")] = None,
           format: Annotated[str | None, typer.Option(help="Read the file as this, whatever it looks like.")] = None,
           keep_going: Annotated[bool, typer.Option("--keep-going", help="Set rows aside that cannot be read.")] = False,
           turns: Annotated[str | None, typer.Option(help="first: of a longer conversation take its first exchange.")] = None,
           first: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
           runs: Runs = Path("runs")) -> None:
    """Clean any instruction data: examples.jsonl, rejected.jsonl with reasons, repaired.jsonl and summary.json in OUT."""
    from rich.console import Console

    from alpaca_pipe.alone import curate as clean
    from alpaca_pipe.recipe.workspace import Workspace

    options = {"likeness": likeness, "words": words, "engine": engine, "format": format, "turns": turns, "first": first,
               "keep_going": keep_going or None}
    done = clean(source, out, Workspace(runs), Console(soft_wrap=True), filters=filters, options=options)
    summary = done.summary
    why = ", ".join(f"{rule} {count:,}" for rule, count in summary["rejected"].items()) or "none"
    typer.echo(f"{summary['read']:,} read: {summary['kept']:,} kept ({summary['repaired']:,} of the rows repaired), "
               f"{sum(summary['rejected'].values()):,} dropped ({why})")
    typer.echo(f"{done.folder}{'' if done.changed else ': nothing changed'}")


@app.command()
def rows(recipe: RecipeName, runs: Runs = Path("runs"), rehearse: Rehearsed = False,
         rejected: Annotated[bool, typer.Option(help="The dropped rows, with their reasons.")] = False,
         rule: Annotated[str | None, typer.Option(help="Only what this rule dropped.")] = None,
         sample: Annotated[int | None, typer.Option(min=1, help="So many, drawn at random.")] = None,
         grep: Annotated[str | None, typer.Option(help="Only rows that match this regular expression.")] = None) -> None:
    """List the rows of RECIPE's last run with their ids."""
    from alpaca_pipe.report.rows import print_rows

    name, workspace = finished(recipe, runs, rehearse)
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

    name, workspace = finished(recipe, runs, rehearse)
    typer.echo(write(workspace, name))


@app.command()
def history(recipe: RecipeName, runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """The dated runs of RECIPE: how each ended, what it ran, where its report is."""
    from alpaca_pipe.report.closing import history_lines

    name, workspace = finished(recipe, runs, rehearse)
    for line in history_lines(workspace, name):
        typer.echo(line)


@app.command()
def push(recipe: RecipeName, name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The dataset on the Hugging Face hub.")],
         accept: Annotated[list[str] | None, typer.Option(metavar="MODEL", help="A teacher whose terms you have read and accept; once "
                                                          "for each.")] = None,
         public: Annotated[bool, typer.Option("--public", help="For everybody to see; else private.")] = False,
         runs: Runs = Path("runs")) -> None:
    """Send the dataset that RECIPE exported, with its card, to the hub: private, and only once its teachers' terms are accepted."""
    from alpaca_pipe.data.hub import push_to_hub

    loaded, workspace = opened(recipe, None, runs, False)
    typer.echo(push_to_hub(result(workspace, loaded.name, "export") / "dataset", name, accepted=accept or (), private=not public))


@app.command()
def recipes() -> None:
    """The recipes that are shipped, each with the first line of its head comment."""
    from alpaca_pipe.core.files import shipped

    for path in sorted(shipped("recipes").glob("*.yaml")):
        typer.echo(f"{path.stem:<22} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")


@app.command()
def seeds(file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL or CSV.")]) -> None:
    """Check seed tasks: what cannot be read, repeats and near-duplicates with their lines, the mixture of kinds."""
    from alpaca_pipe.generate.seed_check import print_check

    if not file.is_file():
        raise UserError(f"{file}: no such file", "name a JSONL or CSV file with the columns instruction, input, output")
    print_check(file)


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

    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    print_mask(loaded.everything(), result(workspace, loaded.name, "curate") / "train.jsonl", row)


@app.command()
def doctor(recipe: Annotated[str, typer.Argument(metavar="[RECIPE]", help="Whose needs to check.")] = "quickstart",
           runs: Runs = Path("runs")) -> None:
    """Check this machine: Python, memory, disk, GPU, key, local model; each with its cure."""
    from alpaca_pipe.doctor import print_checks

    loaded, workspace = opened(recipe, None, runs, False)
    raise typer.Exit(0 if print_checks(loaded, workspace.root) else 2)
