"""The command that shows a run while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import (
    LOOKING_BACK,
    TONE,
    RecipeName,
    Rehearsed,
    Runs,
    not_a_file,
    recipe_called,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo

app = typer.Typer()


@app.command(rich_help_panel=LOOKING_BACK)
def watch(
    recipe: RecipeName,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8090,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Show the run of RECIPE as a page of this machine while it runs: stages, rows, money, rate, losses. Ends with Ctrl-C; changes
    nothing."""
    from alpaca_pipe import api
    from alpaca_pipe.recipe.status import recipes_of
    from alpaca_pipe.recipe.workspace import Workspace
    from alpaca_pipe.report.run_files import left
    from alpaca_pipe.watch.look import WatchedRecipe
    from alpaca_pipe.watch.run import watch as answer

    workspace = Workspace(not_a_file(runs))
    workspace = workspace.rehearsal() if rehearse else workspace
    name = recipe_called(recipe)
    try:
        loaded, _ = api.opened(recipe, (), runs, rehearse)
        name, kinds = loaded.name, list(loaded.stages)
    except UserError:
        if name not in recipes_of(workspace):
            raise
        kinds = list(left(workspace.root, name).steps)  # its recipe is not here any more

    def tell(url: str) -> None:
        if not TONE.get().quiet:
            echo("the page of the run, until Ctrl-C; the run does not need it", err=True)
        echo(url)

    answer(WatchedRecipe(workspace, name, kinds, rehearse), port, tell)
    if not TONE.get().quiet:
        echo("stopped watching; the run was not touched", err=True)
