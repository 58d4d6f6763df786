"""The rows that come in to be judged, memory-mapped: a source of one's own in any form, or what generate accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import digest_of, read_json, read_jsonl, tree_digest, write_json
from alpaca_pipe.curate.pieces import Counted, Cutter
from alpaca_pipe.data.dataset_info import columns_beside
from alpaca_pipe.data.reading import ReadingNotes, read
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.source_kinds import Format, HubId, Turns

if TYPE_CHECKING:
    from alpaca_pipe.data.arrow import StoredRows


@dataclass(frozen=True)
class HowToRead:
    """What a recipe says of its source: see `reading.read`."""

    format: Format | None = None
    keep_going: bool = False
    turns: Turns = "all"
    first: int | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: str | None = None


@dataclass(frozen=True)
class Incoming:
    """The rows to judge, and where those lie that were set aside on the way in (as rows of rejected.jsonl)."""

    rows: StoredRows
    set_aside: Path | None = None
    told: Path | None = None  # what reading has to say of them

    def count_aside(self) -> int:
        return sum(1 for _ in self.aside())

    def aside(self) -> Iterator[dict[str, Any]]:
        return read_jsonl(self.set_aside) if self.set_aside else iter(())

    def said(self) -> dict[str, Any]:
        """Which shapes were read, which keys were left unread, what was done: {} for rows of our own."""
        return read_json(self.told) if self.told else {}


def imported(
    source: Path | HubId,
    how: HowToRead,
    scratch: Path,
    tick: Callable[[int], None],
    cut: tuple[int, Counted] | None = None,
) -> Incoming:
    """Reads the whole source before a row of it is judged. tick: is told how many rows were read so far, and may raise
    Stopped. cut: conversations with more tokens than this, so counted, come in pieces. A resumed run finds below `scratch` what it had read. Raises UserError with what cannot be read."""
    from alpaca_pipe.data.arrow import store_rows

    content = tree_digest(source) if isinstance(source, Path) else source
    beside = columns_beside(source) if isinstance(source, Path) else {}
    name = digest_of([content, asdict(how), beside, *([cut[0]] if cut else [])])[:32]
    aside, said = scratch / f"aside-{name}.jsonl", scratch / f"said-{name}.json"
    told = ReadingNotes()

    def rows() -> Iterator[Example]:
        with aside.open("w", encoding="utf-8", newline="\n") as out:

            def put_aside(row: Rejected) -> None:
                out.write(json.dumps(row.to_row(), ensure_ascii=False) + "\n")

            found = read(
                source,
                how.format,
                keep_going=how.keep_going,
                turns=how.turns,
                first=how.first,
                columns=Columns.of(how.columns),
                split=how.split,
                told=told,
                aside=put_aside,
            )
            cutter = Cutter(*cut, put_aside) if cut else None
            for number, example in enumerate(found, 1):
                if number % 5000 == 0:
                    tick(number)
                if cutter:
                    yield from cutter(example)
                else:
                    yield example
        write_json(said, told.summary() | (cutter.summary() if cutter else {}))

    return Incoming(store_rows(rows(), scratch, name), aside, said)


def generated(path: Path, first: int | None, scratch: Path) -> Incoming:
    """What generate accepted, or the first so many rows of it."""
    from alpaca_pipe.data.arrow import open_examples

    return Incoming(open_examples(path, scratch).head(first))
