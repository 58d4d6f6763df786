"""Which preferences will be there, before a stage that needs them is reached: what lies there is looked at, nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.source_size import rows_expected, rows_to_train

_LOOKED_AT = 200  # first rows of a file
_KEEPS_WORSE = "constitutional"  # the one style of generate whose rows keep a draft


@dataclass(frozen=True)
class Ahead:
    """rows: as many preferences at most; counted: that is no estimate. none: why there will be none, or "". pairs: whether any
    has two answers, where that is known."""

    rows: int
    counted: bool
    none: str = ""
    pairs: bool = True


def of_source(
    source: Path | HubId, columns: Mapping[str, Any], split: str | None, keep_going: bool
) -> Ahead:
    """Of a file or folder of preferences. UserError where one of its first rows cannot be read."""
    rows = rows_expected(source, split=split)
    if isinstance(source, HubId):
        return Ahead(rows, False)
    from alpaca_pipe.data.preferences import read_preferences
    from alpaca_pipe.data.shapes.columns import Columns

    taken: list[object] = []  # whatever was looked at, those that are set aside too
    found = [
        bool(one.chosen)
        for one in read_preferences(
            source,
            keep_going=keep_going,
            columns=Columns.of(columns) if columns else None,
            split=split,
            first=_LOOKED_AT,
            aside=taken.append,
        )
    ]
    whole = rows < _LOOKED_AT and len(found) + len(taken) < _LOOKED_AT
    none = "" if found or not whole else f"no row of {source.name} prefers an answer to another"
    return Ahead(len(found) if whole else rows, whole, none, any(found) or not whole)


def of_curated(tables: Mapping[str, Any], sealed: Path | None) -> Ahead:
    """Of rows that kept a worse answer. sealed: the curated rows, where they are there; tables: of the recipe, by name."""
    if sealed is not None:
        return _of_sealed(sealed)
    curate, generate = tables.get("curate"), tables.get("generate")
    source = getattr(curate, "source", None)
    rows = rows_to_train(tables)
    if source is not None:
        none = _none_of_file(source, curate) if isinstance(source, Path) else ""
        return Ahead(rows, False, none)
    if generate is None:
        return Ahead(0, True, "there are no rows")
    if generate.style == _KEEPS_WORSE or generate.extend:
        return Ahead(rows, False)
    return Ahead(0, True, f"rows of generate.style {generate.style} keep no answer that is worse")


def _of_sealed(file: Path) -> Ahead:
    from alpaca_pipe.core.files import read_jsonl
    from alpaca_pipe.data.preferences import preference_of

    found = sum(preference_of(Example.from_row(row)) is not None for row in read_jsonl(file))
    return Ahead(found, True, "" if found else "none of the curated rows kept a worse answer")


def _none_of_file(source: Path, curate: Any) -> str:
    """Why a file that curate will read holds no worse answer; "" where its first rows do, or there are more than were looked at."""
    from alpaca_pipe.core.errors import UserError
    from alpaca_pipe.data.reading import read
    from alpaca_pipe.data.shapes.columns import Columns

    if rows_expected(source, split=curate.split) >= _LOOKED_AT:
        return ""
    rows = read(
        source,
        curate.format,
        keep_going=True,
        turns=curate.turns,
        first=_LOOKED_AT,
        columns=Columns.of(curate.columns),
        split=curate.split,
    )
    try:
        if any({"rejected", "draft"} & row.origin.details.keys() for row in rows):
            return ""
    except UserError:
        return ""  # curate says what is wrong with it
    return f"no row of {source.name} has an answer that is worse than its own"
