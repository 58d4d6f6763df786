"""A recipe that was run in the workspace beside its file is not begun anew from another folder without a word: another working
directory means another `runs/`, with budgets that begin at $0 and no stored replies."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.workspace import Workspace

USUAL = Path(
    "runs"
)  # of the working directory, where neither --runs nor ALPACA_PIPE_RUNS names one
_LEFT = ("history.jsonl", "lock.json", "begun.json")  # by a run


def refuse_other_workspace(recipe: Recipe, runs: Path) -> None:
    """Raises UserError where the usual workspace is meant, the one here knows nothing of this recipe, and one beside its file has run
    it: in its folder, or in the one above (`vet/vet.yaml` is run from there). Shipped recipes lie beside nobody's workspace."""
    if runs != USUAL or not recipe.files or _knows(runs, recipe.name):
        return
    file = recipe.files[0].resolve()
    if file.is_relative_to(shipped("recipes").resolve()):
        return
    for other in (file.parent / USUAL, file.parent.parent / USUAL):
        if other == runs.resolve() or not _knows(other, recipe.name):
            continue
        from alpaca_pipe.recipe.same_name import another_file

        if another_file(recipe, Workspace(other)) is None:
            raise UserError(
                f"{recipe.name} was run in {other}, and the workspace here, {runs.absolute()}, knows nothing of it: its budget "
                "would begin at $0 and its replies would be bought again",
                f"add --runs {other}, from any folder; or to begin anew here --runs {runs.absolute()}",
            )


def _knows(runs: Path, recipe: str) -> bool:
    own = Workspace(runs).of(recipe)
    return any((own / name).exists() for name in _LEFT)
