"""Parquet that any reader takes: plain Arrow types, and none of the notes that one version of `datasets` leaves for itself
(from version 4 on it notes a type `List`, at which version 3 stops)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import canonical
from alpaca_pipe.data.arrow import COLUMNS
from alpaca_pipe.data.conversation_forms import openai_messages

_BATCH = 1000  # rows in memory at a time


def published_row(example: Example) -> dict[str, Any]:
    """The columns of `arrow.COLUMNS`, flat and of the same shape for all: `details` is JSON text, for its keys differ from row
    to row; the messages of a conversation as OpenAI writes them, no such key for an exchange."""
    origin = example.origin
    row: dict[str, Any] = {
        "id": example.id,
        "instruction": example.instruction,
        "input": example.input,
        "output": example.output,
        "system": example.system,
        "kind": origin.kind,
        "source": origin.source,
        "parents": list(origin.parents),
        "details": canonical(dict(origin.details)) if origin.details else "",
    }
    return row | ({"messages": openai_messages(example.messages)} if example.messages else {})


def write_parquet(path: Path, examples: Callable[[], Iterator[Example]]) -> None:
    """The rows of `published_row`: texts, `parents` a list of texts, and, where any row is a conversation, `messages` a list
    of objects (tool calls as JSON text). The rows are asked for twice. The same rows are the same bytes."""
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.string()
    keys = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id", "name")
    message = pyarrow.struct([*((key, text) for key in keys), ("weight", pyarrow.int64())])
    kinds = {"parents": pyarrow.list_(text), "messages": pyarrow.list_(message)}
    several = any(example.messages for example in examples())
    names = [name for name in COLUMNS if several or name != "messages"]
    schema = pyarrow.schema([(name, kinds.get(name, text)) for name in names])
    with parquet.ParquetWriter(path, schema) as out:
        for rows in _batches(map(_flat, examples())):
            out.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _flat(example: Example) -> dict[str, Any]:
    row = published_row(example)
    for message in row.get("messages", ()):
        if "tool_calls" in message:
            message["tool_calls"] = json.dumps(message["tool_calls"], ensure_ascii=False)
    return row


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
