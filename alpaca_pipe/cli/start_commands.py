"""The commands of a beginning: a recipe of one's own, its seed tasks, and an old recipe brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.cli.common import START, Json, RecipeName, Runs, fallback, opened, result
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, new_console

if TYPE_CHECKING:
    from alpaca_pipe.recipe.schema import Recipe

app = typer.Typer()
seeds = typer.Typer(
    cls=fallback("check"),
    no_args_is_help=False,
    help="Check seed tasks, or draft them from notes. `seeds FILE` and `seeds RECIPE` are short for `seeds check`.",
)
app.add_typer(seeds, name="seeds", rich_help_panel=START)


@app.command(rich_help_panel=START)
def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the recipe and of its new folder.")
    ],
    domain: Annotated[
        str, typer.Option(help='What the model is for, in a few words: "small-animal clinic".')
    ],
    documents: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file or folder that the tasks are about; can be repeated. Default: the folder `documents`, if there is one."
        ),
    ] = None,
) -> None:
    """Make a folder NAME with a commented recipe, ten seed tasks and the next steps. Nothing is overwritten."""
    from alpaca_pipe.start.folder import begin, hints

    for file in begin(name, domain, documents or ()):
        echo(file)
    for hint in hints(Path(name)):
        echo(hint)


@seeds.command()
def check(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RECIPE", help="A JSONL or CSV file, or a recipe whose seeds to check."
        ),
    ],
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check seed tasks: unreadable rows, duplicates and near-duplicates with their lines, the mixture of kinds."""
    from alpaca_pipe.start.seed_check import print_check

    file = Path(what)
    if file.is_file() and file.suffix not in (".yaml", ".yml"):
        print_check(file, as_json)
    elif file.suffix in (".jsonl", ".csv"):
        raise UserError(
            f"{file}: no such file",
            "name a JSONL or CSV file with the columns instruction, input, output",
        )
    else:
        loaded, _ = opened(what, None, runs, rehearse=False)
        print_check(_seeds_of(loaded), as_json)


@seeds.command()
def draft(
    recipe: RecipeName,
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|KEY=VALUE]...",
            help="More notes, as the shell expands --from notes/*.md; and keys of the recipe.",
        ),
    ] = None,
    notes: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE|FOLDER", help="Notes to draft from: txt, md, html, pdf, docx."
        ),
    ] = None,
    want: Annotated[
        int, typer.Option(min=1, help="The number of accepted drafts to reach in total.")
    ] = 30,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept every valid draft without asking.")
    ] = False,
    runs: Runs = Path("runs"),
) -> None:
    """Let RECIPE's teacher draft seed tasks from notes; you accept, edit or refuse each. The price is shown first; the budget is a cap."""

    from alpaca_pipe.start.seed_drafting import draft as drafted

    given = [Path(text) for text in more or () if "=" not in text or Path(text).exists()]
    overrides = [text for text in more or () if Path(text) not in given]
    if not (sources := [*(notes or ()), *given]):
        raise UserError("no notes are named", "use --from notes/*.md, or --from a folder")
    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    drafted(loaded, workspace, new_console(soft_wrap=True, highlight=False), sources, want, yes)


def _seeds_of(recipe: Recipe) -> Path:
    generate = recipe.stages.get("generate")
    if generate is None:
        raise UserError(
            f"{recipe.name}: this recipe has no table 'generate:', so it has no seed tasks",
            "name another recipe, or a file of seed tasks",
        )
    file: Path = generate.seeds  # type: ignore[attr-defined]
    return file


@app.command(rich_help_panel=START)
def migrate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Your recipe, or a config of axolotl or LLaMA-Factory."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="PATH",
            help="The recipe to write from another tool's config, or the folder of --to.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="TOOL",
            help="Write RECIPE's training rows and a config for axolotl or llama-factory.",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes and write nothing.")
    ] = False,
) -> None:
    """Rewrite a recipe of an older alpaca-pipe with today's keys, or write one from a config of axolotl or LLaMA-Factory; each key
    is accounted for. With --to, the other way."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.extends import find_recipe
    from alpaca_pipe.recipe.migrate import migrate as brought_up
    from alpaca_pipe.start.other_tools.foreign_recipe import print_foreign

    if to is not None:
        _for_another(str(file), to, out, runs)
        return
    if not file.exists():
        raise UserError(
            f"{file}: no such file", "name a recipe of yours; those that are shipped are up to date"
        )
    if file.is_file() and print_foreign(file, out, write=not dry_run):
        return
    if out is not None:
        raise UserError(
            f"{file}: it is not a config of axolotl or LLaMA-Factory, and a recipe is rewritten where it stands",
            "leave --out away",
        )
    path = find_recipe(str(file))
    done = brought_up(path, CATALOG, write=not dry_run)
    echo(done.diff, end="")
    for change in done.changes:
        echo(f"{path}: {change}")
    if not done.changes:
        echo(f"{path}: nothing to change")


def _for_another(recipe: str, tool: str, out: Path | None, runs: Path) -> None:
    from alpaca_pipe.core.did_you_mean import did_you_mean
    from alpaca_pipe.start.other_tools.starter import STARTERS, write_starter

    if tool not in STARTERS:
        raise UserError(f"--to {tool}: no such tool is known here", did_you_mean(tool, STARTERS))
    loaded, workspace = opened(recipe, None, runs, rehearse=False)
    rows = result(workspace, loaded.name, "curate") / "train.jsonl"
    folder = out or Path(f"{loaded.name}-{tool}")
    notes = write_starter(loaded, rows, tool, folder)
    echo("\n".join([str(path) for path in sorted(folder.iterdir())] + notes))
