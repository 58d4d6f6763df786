"""The commands of a beginning: a recipe of one's own, its seed tasks, and an old recipe brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import Fallback, Overrides, Runs, opened
from alpaca_pipe.core.errors import UserError

app = typer.Typer()


@app.command()
def migrate(file: Annotated[Path, typer.Argument(metavar="FILE", help="A recipe of yours.")],
            dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False) -> None:
    """Write a recipe of an older alpaca-pipe in today's words; comments stay, and what changes is shown."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.extends import find_recipe
    from alpaca_pipe.recipe.migrate import migrate as brought_up

    if not file.exists():
        raise UserError(f"{file}: no such file", "name a recipe of yours; those that are shipped are up to date")
    path = find_recipe(str(file))
    done = brought_up(path, CATALOG, write=not dry_run)
    typer.echo(done.diff, nl=False)
    for change in done.changes:
        typer.echo(f"{path}: {change}")
    if not done.changes:
        typer.echo(f"{path}: nothing to change")
