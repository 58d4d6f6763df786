"""At most so many rows of each file of a folder: as FLAN's parts were capped for Orca, so that a large one does not drown the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example


def file_of(row: Example) -> str:
    """The file that a row was read from, inside its folder and without its ending: `cot` of `cot.jsonl#7`, also where it is
    packed, and `flan/train` of `flan/train.jsonl#7`."""
    from alpaca_pipe.data.file_formats import SUFFIXES

    return SUFFIXES.sub("", row.origin.source.rpartition("#")[0])


def were_pooled(rows: Path) -> bool:
    """Whether several files have one name where folders and every ending are left out. Such files once shared one cap, so
    what was made of them then is not what is made of them now."""
    names = [path.name.split(".")[0] for path in rows.rglob("*") if path.is_file()]
    return len(set(names)) < len(names)


def capped(rows: Iterable[Example], caps: int | Mapping[str, int]) -> list[Example]:
    """The rows in their order, at most `caps` of each file: those whose ids have the lowest sha256, so that a higher cap keeps
    what a lower one had. A mapping caps the files that it names. Raises UserError for a name of no file."""
    every = list(rows)
    by_file: dict[str, list[str]] = {}
    for row in every:
        by_file.setdefault(file_of(row), []).append(row.id)
    if isinstance(caps, Mapping):
        for name in caps:
            if name not in by_file:
                raise UserError(
                    f"generate.per_source: no file of generate.rows is called '{name}'",
                    did_you_mean(name, by_file),
                )
    kept: set[str] = set()
    for name, ids in by_file.items():
        most = caps if isinstance(caps, int) else caps.get(name, len(ids))
        kept.update(sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())[:most])
    return [row for row in every if row.id in kept]
