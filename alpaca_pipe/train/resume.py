"""Checkpoints that a kill cannot break: one counts only once its mark is there, and the one before goes after that."""

from __future__ import annotations

import shutil
from pathlib import Path

_MARK = "whole"  # written last


def mark_whole(folder: Path, step: int) -> None:
    """The checkpoint of `step` is written: mark it, and remove all others."""
    (folder / f"checkpoint-{step}" / _MARK).touch()
    _remove_all_but(folder, step)


def last_whole(folder: Path) -> Path | None:
    """The checkpoint to resume from; what an interrupted write has left is removed."""
    steps = [
        int(mark.parent.name.removeprefix("checkpoint-"))
        for mark in folder.glob(f"checkpoint-*/{_MARK}")
    ]
    if not steps:
        _remove_all_but(folder, -1)
        return None
    _remove_all_but(folder, max(steps))
    return folder / f"checkpoint-{max(steps)}"


def _remove_all_but(folder: Path, step: int) -> None:
    for other in folder.glob("checkpoint-*"):
        if other.name != f"checkpoint-{step}":
            (other / _MARK).unlink(missing_ok=True)  # first: a half-removed one must not count
            shutil.rmtree(other)
