"""A glance at a plain file of rows, so that a plan refuses what a run would: a column that no row has, more rows held out than
there are. Only what lies in lines is looked at; any other file is the run's to read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError

_ROWS = 200  # whose keys are looked at
_COUNTED = 50_000_000  # bytes of a file whose lines are counted
_PARSED = 2_000_000  # bytes of a file of one list that is read for it


def check_columns(source: Path, columns: Mapping[str, tuple[str, ...]]) -> None:
    """UserError for a column that none of the first rows has. A file of more rows may have it further down, so then nothing is said."""
    known, whole = _keys(source)
    if not whole or not known:
        return
    for name in (name for names in columns.values() for name in names):
        if "." not in name and name not in known:
            raise UserError(
                f"curate.columns: no row of {source} has '{name}'",
                did_you_mean(name, known),
            )


def check_held_out(source: Path, held_out: int, first: int | None = None) -> str:
    """A warning where more rows are held out than are left to train on, or "". UserError where none is left: fewer rows than
    lines can be in a file, never more. first: so many of its rows are read."""
    lines = most_rows(source)
    lines = min(lines, first or lines) if lines is not None else None
    if lines is None or held_out * 2 <= lines:
        return ""
    if held_out >= lines:
        raise UserError(
            f"curate.held_out: {held_out} of {lines} rows of {source} would leave none to train on",
            "lower curate.held_out, or name a file of more rows",
        )
    return f"curate.held_out: of {lines:,} rows at most {lines - held_out:,} are left to train on, lower curate.held_out"


def most_rows(source: Path) -> int | None:
    """How many rows a file can give, where that is seen at a glance; None where it is not."""
    if not source.is_file() or source.stat().st_size > _COUNTED:
        return None
    if source.suffix == ".jsonl":
        with source.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    if source.suffix != ".json" or source.stat().st_size > _PARSED:
        return None
    try:
        rows = json.loads(source.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # the run says what is wrong with it
    return len(rows) if isinstance(rows, list) and rows else None


def _keys(source: Path) -> tuple[list[str], bool]:
    """Keys of the first rows, and whether those are all that any row can have."""
    if not source.is_file() or source.suffix not in (".jsonl", ".csv", ".tsv"):
        return [], False
    try:
        with source.open(encoding="utf-8-sig", newline="") as lines:
            if source.suffix != ".jsonl":
                mark = "\t" if source.suffix == ".tsv" else ","
                head = next(csv.reader(lines, delimiter=mark), [])
                return head, len(head) > 1  # of one column, another mark may part them
            keys: dict[str, None] = {}
            for line in islice(lines, _ROWS):
                row = json.loads(line) if line.strip() else {}
                if not isinstance(row, dict) or any(isinstance(one, dict) for one in row.values()):
                    return [], False  # a row in another is read as that one
                keys |= dict.fromkeys(row)
            return list(keys), next(lines, None) is None
    except (OSError, ValueError):
        return [], False  # the run says what is wrong with it
