"""The command of a person's own judgement: review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.cli.common import ROWS, RecipeName, Runs, finished, opened
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, new_console

if TYPE_CHECKING:
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.workspace import Workspace

app = typer.Typer()


@app.command(rich_help_panel=ROWS)
def review(
    recipe: RecipeName,
    runs: Runs = Path("runs"),
    rejected: Annotated[
        bool,
        typer.Option("--rejected", help="Show the rows that curate dropped, to keep some of them."),
    ] = False,
    rule: Annotated[str | None, typer.Option(help="Only rows that this rule dropped.")] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="A random sample of this size, the same one each time."),
    ] = None,
    grep: Annotated[
        str | None, typer.Option(help="Only rows that match this regular expression.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--all", help="Show rows that you have already read too, after the unread ones."
        ),
    ] = False,
    who: Annotated[
        str | None, typer.Option(help="The name to record; default: your login.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write an HTML page for review in a browser instead."
        ),
    ] = None,
    taken: Annotated[
        Path | None,
        typer.Option(
            "--take", metavar="FILE.jsonl", help="Import the decisions that such a page has saved."
        ),
    ] = None,
) -> None:
    """Keep, drop, edit or annotate rows of RECIPE's last run yourself; the next run follows your decisions. `?` shows the keys."""
    from alpaca_pipe.curate.review.session import take

    loaded, workspace = opened(recipe, None, runs, rehearse=False)
    path = _decisions_of(loaded, recipe)
    finished(recipe, runs, rehearse=False)
    if taken is not None and (html or rejected or rule or sample or grep or again):
        raise UserError("--take goes with no other choice", "take the file in first, then review")
    if taken is not None:
        from alpaca_pipe.report.review_queue import ids_of

        came = take(taken, path, ids_of(workspace.root, loaded.name))
        for line in came.lines():
            echo(line)
        _close(loaded, workspace, path, came.sittings.__contains__, recipe, changed=bool(came.new))
    elif html is not None:
        _page(
            loaded,
            workspace,
            path,
            html,
            who,
            recipe,
            rejected=rejected or rule is not None,
            rule=rule,
            sample=sample,
            grep=grep,
        )
    else:
        _sit(
            loaded,
            workspace,
            path,
            who,
            recipe,
            again,
            rejected=rejected or rule is not None,
            rule=rule,
            sample=sample,
            grep=grep,
        )


def _sit(
    loaded: Recipe,
    workspace: Workspace,
    path: Path,
    who: str | None,
    recipe: str,
    again: bool,
    *,
    rejected: bool,
    rule: str | None,
    sample: int | None,
    grep: str | None,
) -> None:

    from alpaca_pipe.curate.review.console import ReviewConsole
    from alpaca_pipe.curate.review.decisions import read_decisions
    from alpaca_pipe.curate.review.session import ReviewSession, new_name, place_of
    from alpaca_pipe.curate.review.terminal import Queue, sit
    from alpaca_pipe.report.review_queue import to_review

    items = to_review(
        workspace.root, loaded.name, rejected=rejected, rule=rule, sample=sample, grep=grep
    )
    decisions = read_decisions(path)
    queue = Queue.of(items, decisions, again)
    echo(f"{len(items):,} rows, {queue.unread:,} unread; decisions go to {path}")
    if not queue.items:
        echo(
            "there is nothing unread; --all shows the rows that you have read"
            if items
            else "no row matches"
        )
    sitting = ReviewSession(path, who or _login(), new_name(workspace.root, loaded.name), decisions)
    stopped = False
    try:
        if sit(queue, sitting, ReviewConsole(new_console(highlight=False))) and queue.items:
            echo("\nthat was the last row")
    except KeyboardInterrupt:
        stopped = True
        echo()
    echo(sitting.told())
    own = f"-{place_of(workspace.root, loaded.name)}"
    _close(
        loaded, workspace, path, lambda name: name.endswith(own), recipe, changed=sitting.changed
    )
    if stopped:
        raise typer.Exit(130)


def _page(
    loaded: Recipe,
    workspace: Workspace,
    path: Path,
    html: Path,
    who: str | None,
    recipe: str,
    *,
    rejected: bool,
    rule: str | None,
    sample: int | None,
    grep: str | None,
) -> None:
    from alpaca_pipe.curate.review.decisions import read_decisions
    from alpaca_pipe.curate.review.review_page import write_page
    from alpaca_pipe.curate.review.session import new_name
    from alpaca_pipe.report.review_queue import to_review

    items = to_review(
        workspace.root, loaded.name, rejected=rejected, rule=rule, sample=sample, grep=grep
    )
    if not items:
        raise UserError(
            "no row matches, so there is nothing for a page", "look with `alpaca-pipe rows`"
        )
    size = write_page(
        html,
        items,
        read_decisions(path),
        recipe=loaded.name,
        who=who or _login(),
        sitting=new_name(workspace.root, loaded.name),
    )
    echo(
        f"{html}: {len(items):,} rows, {size / 1e6:.1f} MB; open it in a browser, it needs no network"
    )
    echo(f"save there, then: alpaca-pipe review {recipe} --take decisions.jsonl")


def _close(
    loaded: Recipe,
    workspace: Workspace,
    path: Path,
    sittings: Callable[[str], bool],
    recipe: str,
    *,
    changed: bool,
) -> None:
    """The minutes go into the ledger; what comes next is said."""
    from alpaca_pipe.curate.review.decisions import read_decisions
    from alpaca_pipe.curate.review.session import enter_minutes
    from alpaca_pipe.ledger.machine.config import GpuTable

    said = enter_minutes(
        read_decisions(path),
        sittings,
        workspace.ledger,
        loaded.name,
        loaded.tables.get("gpu") or GpuTable(),
    )
    if said:
        echo(said)
    if changed:
        echo(
            f"they hold from the next `alpaca-pipe run {recipe} --until curate` on, which asks no teacher anything"
        )


def _decisions_of(loaded: Recipe, recipe: str) -> Path:
    """The file that curate reads them from."""
    config = loaded.stages.get("curate")
    if config is None:
        raise UserError(
            f"{recipe}: it has no stage curate, which holds to decisions",
            "add `curate:` to the recipe",
        )
    path: Path | None = config.decisions.path  # type: ignore[attr-defined]
    if path is None:
        raise UserError(
            f"{recipe}: curate.decisions is false, so decisions would play no part",
            "remove that key from the recipe",
        )
    return path


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"
