"""Checkpoints that a kill cannot break: one counts only once its mark is there, and older ones go after that.

The mark says which step and which tune it belongs to, so that one that lies elsewhere is taken only where it fits; beside it
lies what a tune knows besides: its lines of the logs so far, and the best weights.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo

from alpaca_pipe.core.config_table import from_recipe
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_jsonl_so_far, same_file, write_atomic, write_jsonl

_MARK = "whole"  # written last
_OWNER = "owner"  # in the tune's scratch folder: what its marks say
_LOGS = ("loss.jsonl", "eval.jsonl")
_BESIDE = (
    "best.safetensors",
    "eval_every.json",
)  # in the scratch folder: each is replaced, never changed
_NAME = "checkpoint-"
_NUMBERED = re.compile(rf"{_NAME}\d+")


def _start(value: Any, info: ValidationInfo) -> bool | str | Path:
    """The name of a checkpoint of the step stays; anything else must be a folder."""
    if isinstance(value, bool | Path) or isinstance(value, str) and _NUMBERED.fullmatch(value):
        return value
    if not isinstance(value, str):
        raise ValueError("should be true, false, checkpoint-N, or a folder")
    path = from_recipe(value, info)
    if not path.is_dir():
        raise ValueError(f"no such folder: {path} - write true, false, checkpoint-N, or a folder")
    return path


Start = Annotated[
    bool | str | Path, PlainValidator(_start, json_schema_input_type=bool | str)
]  # see go_on_from


@dataclass(frozen=True)
class Owner:
    """Of a checkpoint. step: the name of the step's folder, which is its identity; which: tuned, or control."""

    step: str
    which: str

    def text(self) -> str:
        return json.dumps([self.step, self.which])


def mark_whole(folder: Path, step: int, keep: int, which: str, logs: Path) -> None:
    """The checkpoint of `step` is written: mark it, and remove all but the last `keep`. logs: the folder in which they lie."""
    owner, checkpoint = folder / _OWNER, folder / f"{_NAME}{step}"
    for name in _BESIDE:
        if (folder / name).exists():
            same_file(folder / name, checkpoint / name)
    for name in _LOGS:
        if (logs / name).exists():
            rows = (row for row in read_jsonl_so_far(logs / name) if row["which"] == which)
            write_jsonl(checkpoint / name, rows)
    text = owner.read_text(encoding="utf-8") if owner.exists() else ""
    write_atomic(checkpoint / _MARK, text)
    _remove_all_but(folder, _whole(folder)[-keep:])


def last_whole(folder: Path) -> Path | None:
    """The checkpoint to resume from; what an interrupted write has left is removed."""
    steps = _whole(folder)
    _remove_all_but(folder, steps)
    return folder / f"{_NAME}{steps[-1]}" if steps else None


def go_on_from(folder: Path, owner: Owner, wanted: bool | str | Path, logs: Path) -> str:
    """Makes the wanted checkpoint the last whole one of the tune whose scratch folder this is; a sentence, or "" where that
    is what it was.

    wanted: True, the last one; False, none: from the beginning; `checkpoint-300`, one that is kept here; a folder, one of the
    same step that was kept elsewhere. Raises UserError, and nothing is changed, for one that is not there or of another tune.
    """
    write_atomic(folder / _OWNER, owner.text())
    if wanted is True:
        return ""
    steps = _whole(folder)
    if wanted is False:
        _remove_all_but(folder, [])
        return f"{owner.which}: from the beginning" + _gone(steps) if steps else ""
    if isinstance(wanted, Path):
        step = _checked(wanted, owner)
        _take(wanted, folder / f"{_NAME}{step}", owner.which, logs)
    else:
        step = int(wanted.removeprefix(_NAME))
        if step not in steps:
            raise _not_kept(wanted, owner.which, steps)
    later = [one for one in steps if one > step]
    _remove_all_but(folder, [one for one in _whole(folder) if one <= step])
    return f"{owner.which}: continues from step {step}{_gone(later)}"


def _gone(steps: Sequence[int]) -> str:
    return f"; removed: {', '.join(f'{_NAME}{step}' for step in steps)}" if steps else ""


def _not_kept(wanted: str, which: str, steps: Sequence[int]) -> UserError:
    kept = [f"{_NAME}{step}" for step in steps]
    return UserError(
        f"train.resume_from_checkpoint: no {wanted} of the {which} model is kept",
        did_you_mean(wanted, kept)
        if kept
        else "none is: leave the key out, and it begins at the first step; train.save_steps and "
        "save_total_limit say which ones are kept while it runs",
    )


def _checked(wanted: Path, owner: Owner) -> int:
    """Its step. Raises UserError where it is no whole checkpoint of this tune."""
    where = f"train.resume_from_checkpoint: {wanted}"
    if not _NUMBERED.fullmatch(wanted.name) or not (wanted / _MARK).is_file():
        raise UserError(
            f"{where} is not a whole checkpoint of ours",
            "name a folder checkpoint-N from the .scratch of an interrupted step",
        )
    found = (wanted / _MARK).read_text(encoding="utf-8", errors="replace")
    if found != owner.text():
        raise UserError(
            f"{where} is of another tune ({_said(found)}), and this is the {owner.which} model of {owner.step}",
            "its weights would be no result of this recipe: leave the key out, or bring back the rows and options that it had",
        )
    return int(wanted.name.removeprefix(_NAME))


def _said(mark: str) -> str:
    """What a mark says of its owner, for a sentence; those of before 2026-12 say nothing."""
    try:
        step, which = json.loads(mark)
    except (ValueError, TypeError):
        return "which one, it does not say"
    return f"the {which} model of {step}"[:80]


def _take(source: Path, target: Path, which: str, logs: Path) -> None:
    """A copy in the tune's own folder, whole or not at all, and what lay beside it back in its place."""
    if source.resolve() == target.resolve():
        return
    if target.exists():
        (target / _MARK).unlink(missing_ok=True)
        shutil.rmtree(target)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(_MARK))
    for name in _BESIDE:
        if (target / name).exists():
            same_file(target / name, target.parent / name)
    for name in _LOGS:
        if (target / name).exists():
            others = [row for row in read_jsonl_so_far(logs / name) if row["which"] != which]
            write_jsonl(logs / name, [*others, *read_jsonl_so_far(target / name)])
    shutil.copyfile(source / _MARK, target / _MARK)


def _whole(folder: Path) -> list[int]:
    """The steps of those that count, in order."""
    return sorted(
        int(mark.parent.name.removeprefix(_NAME)) for mark in folder.glob(f"{_NAME}*/{_MARK}")
    )


def _remove_all_but(folder: Path, steps: Sequence[int]) -> None:
    kept = {f"{_NAME}{step}" for step in steps}
    for other in folder.glob(f"{_NAME}*"):
        if other.name not in kept:
            (other / _MARK).unlink(missing_ok=True)  # first: a half-removed one must not count
            shutil.rmtree(other)
