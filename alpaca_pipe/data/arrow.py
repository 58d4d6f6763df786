"""Our rows as a `datasets` Dataset: Arrow on disk, memory-mapped, so that their number does not matter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import canonical, file_digest, read_jsonl

if TYPE_CHECKING:
    from datasets import Dataset, Features

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


def to_columns(example: Example) -> dict[str, Any]:
    """One row, flat and of the same shape for all: `details` and `messages` (of a conversation) are JSON text, for their keys differ
    from row to row."""
    origin = example.origin
    return {
        "id": example.id,
        "instruction": example.instruction,
        "input": example.input,
        "output": example.output,
        "system": example.system,
        "messages": canonical([one.to_row() for one in example.messages])
        if example.messages
        else "",
        "kind": origin.kind,
        "source": origin.source,
        "parents": list(origin.parents),
        "details": canonical(dict(origin.details)) if origin.details else "",
    }


def from_columns(row: Mapping[str, Any]) -> Example:
    details = json.loads(row["details"]) if row["details"] else {}
    return Example(
        row["id"],
        row["instruction"],
        row["input"],
        row["output"],
        Origin(row["kind"], row["source"], tuple(row["parents"]), details),
        row["system"],
        tuple(map(Message.from_row, json.loads(row["messages"]))) if row["messages"] else (),
    )


def open_examples(path: Path, cache: Path) -> Dataset:
    """An `examples.jsonl` of ours as a Dataset of `COLUMNS`; the Arrow file lies below `cache` and is reused for the
    same bytes. Row by row: memory does not grow with the file. Quiet, no network."""
    return to_arrow(
        (Example.from_row(row) for row in read_jsonl(path)), cache, file_digest(path)[:32]
    )


def to_arrow(examples: Iterable[Example], cache: Path, name: str) -> Dataset:
    """Rows as a Dataset of `COLUMNS`, written below `cache`. The same `name` (word characters) means the same rows. What
    the rows themselves raise (UserError, Stopped) is raised as it is."""
    import datasets

    datasets.disable_progress_bars()
    any_row = False

    def columns() -> Iterator[dict[str, Any]]:
        nonlocal any_row
        for example in examples:
            any_row = True
            yield to_columns(example)

    try:
        return datasets.Dataset.from_generator(
            columns, features=_features(), cache_dir=str(cache), fingerprint=name
        )
    except datasets.exceptions.DatasetGenerationError as error:
        if isinstance(error.__cause__, UserError | Stopped):
            raise error.__cause__ from None
        raise
    except ValueError:  # from_generator cannot make a Dataset of no rows
        if any_row:
            raise
        return datasets.Dataset.from_dict({name: [] for name in COLUMNS}, features=_features())


def stream(dataset: Dataset) -> Iterator[Example]:
    """The rows of `open_examples` again, in order."""
    return map(from_columns, dataset)


def _features() -> Features:
    from datasets import Features, List, Value

    text = Value("string")
    return Features({name: List(text) if name == "parents" else text for name in COLUMNS})
