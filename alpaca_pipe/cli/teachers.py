"""The commands about teachers."""

from __future__ import annotations

from pathlib import Path

import typer

from alpaca_pipe.cli.common import Overrides, RecipeName, Runs, opened
from alpaca_pipe.core.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Whom a recipe asks.")


@app.callback()
def teachers() -> None:
    """Whom a recipe asks."""


@app.command()
def check(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs")) -> None:
    """One priced ping: address, model, price and key of RECIPE's teacher, then one tiny request, booked like any other."""
    from alpaca_pipe.ledger.journal import Journal
    from alpaca_pipe.recipe.weather import plain_disk_errors
    from alpaca_pipe.teachers.check import check as ping

    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    teacher = loaded.tables.get("teacher")
    if teacher is None:
        raise UserError(f"{loaded.name}: this recipe has no teacher", "name a recipe with a table 'teacher:'")
    own = workspace.of(loaded.name)
    with plain_disk_errors(workspace.root), Journal.open(workspace.ledger) as journal:
        ping(teacher, journal=journal, caps=workspace.caps(loaded.tables.get("budget")), recipe=loaded.name,
             log=own / "check.log", tell=typer.echo)
