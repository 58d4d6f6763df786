"""The commands that look back and around: what was run, how two runs differ, what is going on, what can be cleared away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import (
    LOOKING_BACK,
    Json,
    RecipeName,
    Rehearsed,
    Runs,
    confirmed,
    finished,
    recipe_called,
    recipe_names,
    there,
    wide,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json

app = typer.Typer()
_RUN = "RECIPE, or RECIPE@ with a date (2026-11), a month (nov) or a number (@1 is the latest): see `history`."


@app.command(rich_help_panel=LOOKING_BACK)
def history(
    recipe: RecipeName,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    as_json: Json = False,
) -> None:
    """List the runs of RECIPE by date: how each ended, what it ran, where its report is."""
    from alpaca_pipe.report.summary import history_lines, history_rows

    name, workspace = finished(recipe, runs, rehearse)
    if as_json:
        echo_json(history_rows(workspace, name))
        return
    for line in history_lines(workspace, name):
        echo(line)


@app.command(rich_help_panel=LOOKING_BACK)
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help=_RUN, autocompletion=recipe_names)
    ],
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    form: Annotated[
        str, typer.Option("--format", help="Of the table: text, markdown, csv or latex.")
    ] = "text",
    as_json: Json = False,
) -> None:
    """Compare two runs in full, or any number as one table with mean and spread over seeds. One RECIPE alone: its last sweep."""
    from alpaca_pipe.data.run_names import past_run
    from alpaca_pipe.report.compare_runs import beside
    from alpaca_pipe.report.compare_text import print_beside
    from alpaca_pipe.report.runs_table import runs_table, sweep_of

    if form not in ("text", "markdown", "csv", "latex"):
        raise UserError(
            f"--format: should be text, markdown, csv or latex, not '{form}'",
            "see `alpaca-pipe compare --help`",
        )
    if as_json and form != "text":
        raise UserError(f"--json and --format {form} are two forms", "give one of them")
    workspace = runs / "rehearsal" if rehearse else runs
    if len(names) == 2 and form == "text":
        one, other = (past_run(workspace, name) for name in names)
        found = beside(one, other, workspace)
        if as_json:
            echo_json(found.to_row())
        else:
            print_beside(found, wide())
        return
    alone = len(names) == 1
    past = sweep_of(workspace, recipe_called(names[0])) if alone else []
    table = runs_table(past or [past_run(workspace, name) for name in names], workspace)
    if as_json:
        echo_json(table.to_row())
    else:
        echo(table.written(form).rstrip("\n"))


@app.command(rich_help_panel=LOOKING_BACK)
def status(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE]", help="Only this recipe.", autocompletion=recipe_names),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every 2 seconds, until Ctrl-C.")
    ] = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    as_json: Json = False,
) -> None:
    """Show what runs now and how far it is, what is finished, what is half done, what is open in the ledger. Changes nothing."""
    from alpaca_pipe.recipe.status import print_status, recipes_of
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(there(runs))
    workspace = workspace.rehearsal() if rehearse else workspace
    if recipe is not None:
        recipe = recipe_called(recipe)
        if recipe not in (known := recipes_of(workspace)):
            raise UserError(
                f"{recipe}: nothing was run in {workspace.root}",
                f"known here: {', '.join(known) or 'none'}",
            )
    if watch:
        from alpaca_pipe.recipe.status_watch import watch_status

        watch_status(workspace, recipe, as_json)
    else:
        print_status(workspace, recipe, as_json)


@app.command(rich_help_panel=LOOKING_BACK)
def verify(
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    as_json: Json = False,
) -> None:
    """Check that sealed steps, the ledger and the files of each recipe are as they were written; every byte is read. Exit code 2 if not."""
    from alpaca_pipe.recipe.verify import print_verified
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(runs).rehearsal() if rehearse else Workspace(runs)
    if not print_verified(workspace, as_json):
        raise typer.Exit(2)


@app.command(rich_help_panel=LOOKING_BACK)
def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted and delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    as_json: Json = False,
) -> None:
    """Delete steps that no recipe's lock or history names any more, and damaged ones. Never a reply, never the ledger."""
    from alpaca_pipe.recipe import gc as work
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(there(runs))
    workspace = workspace.rehearsal() if rehearse else workspace
    found = work.wasted(workspace)
    if not as_json:
        echo("\n".join(work.lines(found, workspace.root)))
    deletes = bool(found) and not dry_run
    if deletes:
        work.check_idle(workspace)
        if not yes and as_json:
            raise UserError("--json cannot ask you first", "use --yes, or --dry-run")
        if not yes and not confirmed("delete this?"):
            deletes = False
    freed = work.sweep(workspace, found) if deletes else 0
    if as_json:
        echo_json({"found": [one.to_row() for one in found], "deleted": deletes, "freed": freed})
    elif deletes:
        echo(f"deleted; {work.spelled(freed)} are free again")
