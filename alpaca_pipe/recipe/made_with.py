"""Whether what a recipe's last run left was made with the settings that somebody names now."""

from __future__ import annotations

from collections.abc import Sequence

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.plan import steps_of
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace


def check_made_with(
    overrides: Sequence[str], recipe: Recipe, catalog: Catalog, workspace: Workspace, stage: str
) -> None:
    """recipe: with `overrides` in it. Raises UserError where the last run's `stage` was made with others: its result would be
    taken for theirs."""
    left = workspace.lock(recipe.name).get("steps", {}).get(stage)
    if left is None:
        return  # nothing was made yet: whoever asks for it says so
    for step in steps_of(recipe, catalog, workspace):
        if step.stage.kind != stage:
            continue
        if step.done is None or step.folder is None or step.folder.name != left:
            words = " ".join(overrides)
            raise UserError(
                f"{recipe.name}: the last run's {stage} was not made with {words}",
                f"run `alpaca-pipe run {recipe.name} {words}` first, or leave {words} away to send what is there",
            )
