"""Two recipes of one name in one workspace: they would share budget, history and reports, so it is said before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

from alpaca_pipe.data.run_names import history
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.workspace import Workspace

KEY = "file"  # in a line of the history: the recipe's file, as the way from the workspace to it


def file_in_history(recipe: Recipe, workspace: Workspace) -> str:
    return os.path.relpath(recipe.files[0].resolve(), workspace.root.resolve())


def another_file(recipe: Recipe, workspace: Workspace) -> Path | None:
    """What the last run of this name was told from, where that is still there and says something else. A file that was moved, or
    copied as it is, is the same recipe; where no run names its file, it was this one."""
    ours = [row for row in history(workspace.root, recipe.name) if not row.get("apart")]
    said = next((row[KEY] for row in reversed(ours) if isinstance(row.get(KEY), str)), "")
    if not said or not recipe.files:
        return None
    before, mine = (workspace.root.resolve() / said).resolve(), recipe.files[0].resolve()
    if before == mine or not before.is_file() or _bytes(before) == _bytes(mine):
        return None
    return before


def another_of_that_name(recipe: Recipe, workspace: Workspace) -> str:
    """A sentence where the last run of this name was of another recipe; else ""."""
    before = another_file(recipe, workspace)
    if before is None:
        return ""
    return (
        f"another recipe called '{recipe.name}' was run here: {before}; both share this workspace's budget, history and reports "
        "under that name - rename one of the files, or keep them apart with --runs"
    )


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
