"""The rows that come in to be judged, memory-mapped: a source of one's own in any form, or what generate accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import digest_of, read_jsonl, tree_digest
from alpaca_pipe.data.reading import read
from alpaca_pipe.data.source_kinds import Format, HubId, Turns

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Incoming:
    """The rows to judge, and where those lie that were set aside on the way in (as rows of rejected.jsonl)."""

    rows: Dataset
    set_aside: Path | None = None

    def aside(self) -> Iterator[dict[str, Any]]:
        return read_jsonl(self.set_aside) if self.set_aside else iter(())


def imported(
    source: Path | HubId,
    format: Format | None,
    keep_going: bool,
    turns: Turns,
    first: int | None,
    scratch: Path,
    tick: Callable[[int], None],
) -> Incoming:
    """Reads the whole source before a row of it is judged. tick: is told how many rows were read so far, and may raise
    Stopped. A resumed run finds below `scratch` what it had read. Raises UserError with what cannot be read."""
    from alpaca_pipe.data.arrow import to_arrow

    content = tree_digest(source) if isinstance(source, Path) else source
    name = digest_of([content, format, keep_going, turns, first])[:32]
    aside = scratch / f"aside-{name}.jsonl"

    def rows() -> Iterator[Example]:
        with aside.open("w", encoding="utf-8", newline="\n") as out:
            found = read(
                source,
                format,
                keep_going=keep_going,
                turns=turns,
                first=first,
                aside=lambda row: out.write(json.dumps(row.to_row(), ensure_ascii=False) + "\n"),
            )
            for number, example in enumerate(found, 1):
                if number % 5000 == 0:
                    tick(number)
                yield example

    return Incoming(to_arrow(rows(), scratch, name), aside)


def generated(path: Path, first: int | None, scratch: Path) -> Incoming:
    """What generate accepted, or the first so many rows of it."""
    from alpaca_pipe.data.arrow import open_examples

    rows = open_examples(path, scratch)
    return Incoming(rows.select(range(min(first, len(rows)))) if first else rows)
