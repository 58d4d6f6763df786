"""The messages of a row as a person reads them: who speaks, what is said, thought and called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import turn_name


def turns_of(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(`2 assistant`, text) of each message of a conversation; nothing of a single exchange."""
    messages = row.get("messages", ())
    return tuple(
        (turn_name(number, one), "\n".join(_parts(one))) for number, one in enumerate(messages, 1)
    )


def texts_by_name(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(name, text) of all that a row says: `system` first, then its messages, or instruction, input and output."""
    names = ("system",) if row.get("messages") else ("system", "instruction", "input", "output")
    said = tuple((name, str(row[name])) for name in names if row.get(name))
    return said + turns_of(row)


def _parts(message: Mapping[str, Any]) -> Iterator[str]:
    if thought := message.get("reasoning"):
        yield f"[thinks: {thought}]"
    if message["content"]:
        yield str(message["content"])
    for call in message.get("tool_calls", ()):
        function = call.get("function", call)
        asked = function.get("arguments", "")
        yield f"[calls {function.get('name', '')}: {asked if isinstance(asked, str) else json.dumps(asked)}]"
