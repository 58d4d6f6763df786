"""Checkpoints that a kill cannot break: one counts only once its mark is there, and older ones go after that."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

_MARK = "whole"  # written last


def mark_whole(folder: Path, step: int, keep: int = 1) -> None:
    """The checkpoint of `step` is written: mark it, and remove all but the last `keep`."""
    (folder / f"checkpoint-{step}" / _MARK).touch()
    _remove_all_but(folder, _whole(folder)[-keep:])


def last_whole(folder: Path) -> Path | None:
    """The checkpoint to resume from; what an interrupted write has left is removed."""
    steps = _whole(folder)
    _remove_all_but(folder, steps)
    return folder / f"checkpoint-{steps[-1]}" if steps else None


def _whole(folder: Path) -> list[int]:
    """The steps of those that count, in order."""
    return sorted(
        int(mark.parent.name.removeprefix("checkpoint-"))
        for mark in folder.glob(f"checkpoint-*/{_MARK}")
    )


def _remove_all_but(folder: Path, steps: Sequence[int]) -> None:
    kept = {f"checkpoint-{step}" for step in steps}
    for other in folder.glob("checkpoint-*"):
        if other.name not in kept:
            (other / _MARK).unlink(missing_ok=True)  # first: a half-removed one must not count
            shutil.rmtree(other)
