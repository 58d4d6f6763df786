"""The commands about teachers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from alpaca_pipe.cli.common import Overrides, RecipeName, Runs, opened
from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.teachers.table import TeacherTable

app = typer.Typer(no_args_is_help=True, help="Whom a recipe asks.")


@app.callback()
def teachers() -> None:
    """Whom a recipe asks."""


@app.command()
def check(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs")) -> None:
    """One priced ping: address, model, price and key of RECIPE's teacher, then one tiny request, booked like any other."""
    from alpaca_pipe.ledger.journal import Journal
    from alpaca_pipe.recipe.locks import held
    from alpaca_pipe.recipe.weather import plain_disk_errors
    from alpaca_pipe.teachers.check import check as ping

    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    own = workspace.of(loaded.name)
    with plain_disk_errors(workspace.root), held(own / ".lock", str(own)), Journal.open(workspace.ledger) as journal:
        ping(_teacher(loaded), journal=journal, caps=workspace.caps(loaded.tables.get("budget"), loaded.name), recipe=loaded.name,
             log=own / "check.log", tell=typer.echo)


@app.command()
def cancel(recipe: RecipeName, overrides: Overrides = None, runs: Runs = Path("runs")) -> None:
    """Cancel the batches of RECIPE that a provider still works on; what is finished is fetched, paid and kept."""
    import asyncio

    from alpaca_pipe.ledger.journal import Journal
    from alpaca_pipe.recipe.locks import held
    from alpaca_pipe.recipe.weather import plain_disk_errors
    from alpaca_pipe.teachers.opening import cancel_batches

    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    own = workspace.of(loaded.name)
    with plain_disk_errors(workspace.root), held(own / ".lock", str(own)), Journal.open(workspace.ledger) as journal:
        done = asyncio.run(cancel_batches(_teacher(loaded), journal=journal, recipe=loaded.name, log=own / "check.log",
                                          say=typer.echo))
    typer.echo(f"{done.batches} batches ended: {done.answered} requests answered and kept, {done.unanswered} not answered"
               f"{f'; {done.elsewhere} batches lie at another address' if done.elsewhere else ''}")


def _teacher(recipe: Recipe) -> TeacherTable:
    teacher: TeacherTable | None = recipe.tables.get("teacher")
    if teacher is None:
        raise UserError(f"{recipe.name}: this recipe has no teacher", "name a recipe with a table 'teacher:'")
    return teacher
