"""Our rows in an Arrow file on disk, memory-mapped, so that their number does not matter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import canonical, file_digest, read_jsonl

if TYPE_CHECKING:
    import pyarrow

COLUMNS = (
    "id",
    "instruction",
    "input",
    "output",
    "system",
    "messages",
    "kind",
    "source",
    "parents",
    "details",
)


_BLOCK = 1000  # rows that are read together
_LARGEST = 1 << 26  # characters of a block, whatever the number of its rows


@dataclass(frozen=True)
class StoredRows:
    """The rows of a file, in order, as often as they are asked for. size: so many of them."""

    path: Path
    size: int

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        for number, (start, end) in enumerate(pairwise(self.starts())):
            yield from self.block(number, end - start)

    def head(self, rows: int | None) -> StoredRows:
        """The first so many of them; None: all."""
        return StoredRows(self.path, min(rows or self.size, self.size))

    def starts(self) -> list[int]:
        """The place of the first row of each block of up to 1,000, and behind the last one the number of rows."""
        starts = [0]
        for rows in _sizes(self.path):
            if starts[-1] >= self.size:
                break
            starts.append(min(self.size, starts[-1] + rows))
        return starts

    def columns(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Some of COLUMNS of each row, which costs a fraction of the whole rows."""
        import pyarrow

        for number, (start, end) in enumerate(pairwise(self.starts())):
            with pyarrow.memory_map(str(self.path)) as file:
                batch = pyarrow.ipc.open_file(file).get_batch(number).slice(0, end - start)
                wanted = [batch.column(COLUMNS.index(name)).to_pylist() for name in names]
            yield from zip(*wanted, strict=True)

    def block(self, number: int, rows: int) -> Iterator[Example]:
        """So many rows of a block."""
        import pyarrow

        with pyarrow.memory_map(str(self.path)) as file:
            batch = pyarrow.ipc.open_file(file).get_batch(number)
            columns = [column.to_pylist() for column in batch.slice(0, rows).columns]
        for row in zip(*columns, strict=True):
            yield restored(*row)


def open_examples(path: Path, cache: Path) -> StoredRows:
    """The rows of an `examples.jsonl` of ours; the Arrow file lies below `cache` and is used again for the same bytes.
    Block by block: memory does not grow with the file."""
    return store_rows(map(Example.from_row, read_jsonl(path)), cache, file_digest(path)[:32])


def store_rows(examples: Iterable[Example], cache: Path, name: str) -> StoredRows:
    """Rows in a file below `cache`. The same `name` (word characters) means the same rows, and these are then not asked
    for. What the rows themselves raise leaves no file."""
    import pyarrow

    path = cache / f"rows-{name}.arrow"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        schema = pyarrow.schema([(column, pyarrow.string()) for column in COLUMNS])
        try:
            with (
                pyarrow.OSFile(str(draft), "wb") as file,
                pyarrow.ipc.new_file(file, schema) as out,
            ):
                for batch in _batches(examples, schema):
                    out.write_batch(batch)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return StoredRows(path, sum(_sizes(path)))


def _sizes(path: Path) -> list[int]:
    """Rows of each block."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as file:
        reader = pyarrow.ipc.open_file(file)
        return [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]


def _batches(examples: Iterable[Example], schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    def array(texts: Sequence[str]) -> pyarrow.Array:
        builder = pyarrow.lib.StringBuilder()  # `pyarrow.array` would first import pandas
        builder.append_values(texts)
        return builder.finish()

    def batch() -> pyarrow.RecordBatch:
        return pyarrow.record_batch(list(map(array, zip(*rows, strict=True))), schema=schema)

    rows: list[tuple[str, ...]] = []
    size = 0
    for example in examples:
        rows.append(row := stored(example))
        size += sum(map(len, row))
        if len(rows) == _BLOCK or size > _LARGEST:
            yield batch()
            rows, size = [], 0
    if rows:
        yield batch()


def stored(example: Example) -> tuple[str, ...]:
    """In the order of COLUMNS; parents, details and messages as JSON, "" where there are none."""
    origin = example.origin
    return (
        example.id,
        example.instruction,
        example.input,
        example.output,
        example.system,
        canonical([one.to_row() for one in example.messages]) if example.messages else "",
        origin.kind,
        origin.source,
        json.dumps(origin.parents) if origin.parents else "",
        canonical(dict(origin.details)) if origin.details else "",
    )


def restored(
    id: str,
    instruction: str,
    input: str,
    output: str,
    system: str,
    messages: str,
    kind: Any,
    source: str,
    parents: str,
    details: str,
) -> Example:
    return Example(
        id,
        instruction,
        input,
        output,
        Origin(
            kind,
            source,
            tuple(json.loads(parents)) if parents else (),
            json.loads(details) if details else {},
        ),
        system,
        tuple(map(Message.from_row, json.loads(messages))) if messages else (),
    )
