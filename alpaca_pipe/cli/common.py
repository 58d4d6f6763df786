"""What the commands share: the arguments that they all take, and how a recipe and its workspace are opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alpaca_pipe.cli.help_page import PageOfGroup
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.screen import echo, new_console

if TYPE_CHECKING:
    from rich.console import Console

    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.workspace import Workspace


# The groups of `--help`, in its order.
START, ROAD, ROWS = "The start", "The road", "The rows"
LOOKING_BACK, MONEY = "Looking back", "Money"


def recipe_names(incomplete: str) -> Iterator[str]:
    """For the shell's completion: recipes that are shipped, files beside us, and what was run here."""
    from alpaca_pipe.core.files import shipped

    names = {path.stem for path in shipped("recipes").glob("*.yaml")} | {
        str(path) for path in Path().glob("*.yaml")
    }
    names |= {path.parent.name for path in Path("runs").glob("*/lock.json")}
    return (name for name in sorted(names) if name.startswith(incomplete))


def stage_names(incomplete: str) -> Iterator[str]:
    from alpaca_pipe.report.run_files import ROAD

    return (kind for kind in ROAD if kind.startswith(incomplete))


RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe file, a folder with a recipe of the same name, or the name of a shipped recipe.",
        autocompletion=recipe_names,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="For example generate.count=100"),
]


def _named(context: typer.Context, option: typer.CallbackParam, runs: Path) -> Path:
    """`--runs runs` names the workspace here, which the default only means (recipe/other_workspace.py)."""
    source = context.get_parameter_source(str(option.name))
    said = source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
    return runs.absolute() if said and runs == Path("runs") else runs


Runs = Annotated[
    Path,
    typer.Option(
        "--runs", envvar="ALPACA_PIPE_RUNS", help="The workspace folder.", callback=_named
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Set what was set on the last run's command line too.")
]
Rehearsed = Annotated[
    bool, typer.Option("--rehearse", help="Use the rehearsal instead of the real run.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True)
class Tone:
    """How much is said, by the options that stand before or behind any command."""

    quiet: bool = False
    verbose: bool = False


_WIDTH = 120
_USUAL = Tone()
TONE: ContextVar[Tone] = ContextVar("tone", default=_USUAL)


def narrator(as_json: bool = False) -> Console:
    """Where long work says how it goes: nowhere with -q, and beside the output where that is for programs."""

    return new_console(soft_wrap=True, quiet=TONE.get().quiet, stderr=as_json)


def wide() -> Console:
    """For tables: as wide as the terminal, and wide enough where there is none."""

    console = new_console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH
    return console


def fallback(meant: str) -> type[PageOfGroup]:
    """A group with a command that is meant where no other is named: `ledger alpaca-52k` is `ledger show alpaca-52k`."""

    class Fallback(PageOfGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            named = (args and (args[0] in self.commands or args[0] == "--help")) or (
                not args and self.no_args_is_help
            )
            return super().parse_args(ctx, args if named else [meant, *args])

    return Fallback


def not_a_file(runs: Path) -> Path:
    """The workspace's folder, there or not. Raises UserError for a file."""
    if runs.is_file():
        raise UserError(f"--runs {runs} is a file", "name the folder of a workspace")
    return runs


def there(runs: Path) -> Path:
    """The workspace's folder; `runs` need not be there, but one that was named must. Raises UserError."""
    if runs != Path("runs") and not not_a_file(runs).is_dir():
        raise UserError(f"--runs {runs}: there is no such folder", "name the folder of a workspace")
    return runs


def opened(
    name: str, overrides: list[str] | None, runs: Path, rehearse: bool
) -> tuple[Recipe, Workspace]:
    from alpaca_pipe import api

    loaded, workspace = api.opened(name, overrides or (), not_a_file(runs), rehearse)
    if rehearse:
        real, _ = api.opened(name, overrides or (), runs, rehearse=False, anew=True)
        echo(f"a rehearsal sets: {', '.join(loaded.differences(real))}", err=True)
        echo("its money is simulated: nothing is paid, and no budget is tried on it", err=True)
    return loaded, workspace


def confirmed(question: str) -> bool:
    """Whether whoever sits there says yes; Ctrl-C stops the command, as anywhere."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise typer.Exit(130) from None


def recipe_called(text: str) -> str:
    """The name of the recipe that is meant by a file, a folder (`.` too) or a name; nothing is opened."""
    path = Path(text)
    return path.stem if path.suffix in (".yaml", ".yml") else path.resolve().name


def refuse_packed(name: str) -> None:
    """Raises UserError where a file that `pack` wrote is named in the place of what it holds."""
    if name.endswith(".tar.zst") and Path(name).is_file():
        raise UserError(f"{name} is packed", f"unpack it first: alpaca-pipe unpack {name}")


def finished(name: str, runs: Path, rehearse: bool) -> tuple[str, Path]:
    """A recipe's name and workspace for commands that only read: the recipe file need not be there any more."""
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(runs).rehearsal() if rehearse else Workspace(runs)
    own = recipe_called(name)
    if not workspace.lock(own):
        own = opened(name, None, runs, rehearse)[0].name
    if not workspace.lock(own):
        if (workspace.of(own) / "log.jsonl").exists():
            raise UserError(
                f"{own}: a run was begun in {workspace.root}, and no step of it is finished",
                f"`alpaca-pipe run {name}` continues it; `alpaca-pipe status {own}` says how far it is",
            )
        start = f"start with `alpaca-pipe run {name}`"
        if not rehearse and workspace.rehearsal().lock(own):
            start = f"it was rehearsed: add --rehearse to see that; or {start}"
        raise UserError(f"{own}: nothing was run in {workspace.root.absolute()}", start)
    return own, workspace.root


def finished_run(
    name: str, runs: Path, rehearse: bool
) -> tuple[str, Path, Mapping[str, Any] | None]:
    """The same; RECIPE@WHEN too, with the line of the history that it means. None: the last run."""
    if "@" not in name:
        return *finished(name, runs, rehearse), None
    from alpaca_pipe.data.run_names import past_run

    root = runs / "rehearsal" if rehearse else runs
    found = past_run(root, name)
    if found.says:
        echo(found.says, err=True)
    return found.recipe, root, found.row


def with_last(
    again: bool, name: str, overrides: list[str] | None, runs: Path, rehearse: bool
) -> list[str] | None:
    """The overrides of the recipe's last run before the new ones, said; just the new ones where that is not asked for."""
    if not again:
        return overrides
    from alpaca_pipe import api
    from alpaca_pipe.data.run_names import history

    loaded, workspace = api.opened(name, (), not_a_file(runs), rehearse)
    past = history(workspace.root, loaded.name)
    if not past:
        raise UserError(
            f"--again: {loaded.name} was not run in {workspace.root}", "leave --again away"
        )
    last = [str(one) for one in past[-1].get("overrides", ())]
    echo(f"again, as at {past[-1]['run']}: {' '.join(last) or 'no overrides'}", err=True)
    return [*last, *(overrides or ())]


def result(workspace: Workspace, recipe: str, stage: str) -> Path:
    from alpaca_pipe.report.run_files import left

    folder = left(workspace.root, recipe).step(stage).folder
    if folder is None:
        raise UserError(
            f"{recipe}: {stage} was not run yet", f"run `alpaca-pipe run {recipe} --until {stage}`"
        )
    return folder
