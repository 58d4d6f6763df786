"""Cells of a table that hold a list or an object as text: as JSON, or as Python prints them. Where one is the value of its
column it is unpacked; where it may well be what somebody asked or answered, it stays the text that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.data.shapes.keys import name_of, plain
from alpaca_pipe.data.shapes.values import unpacked

_SAID = ("instruction", "output", "chosen", "rejected", "text")
_SPEECH = frozenset(
    [
        "role",
        "from",
        "author",
        "speaker",
        "content",
        "value",
        "text",
        "message",
        "response",
        "answer",
        "completion",
        "rank",
        "score",
        "rating",
        "messages",
        "contents",
        "candidates",
        "user",
        "assistant",
        "system",
        "parts",
    ]
)


def unpacked_cells(row: dict[str, Any]) -> dict[str, Any]:
    """The row, with its packed cells unpacked."""
    found: dict[str, Any] = {}
    for key, cell in row.items():
        if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
            value = unpacked(cell)
            if value is not cell:
                found[key] = value
    if not found:
        return row
    return row | {key: value for key, value in found.items() if _is_value(key, row, found)}


def _is_value(key: str, row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    value, meaning = found[key], name_of(key).meaning
    if plain(key) in ("input", "inputs") and not _speaks(value):
        return False  # `[3, 1, 2]` is what is to be sorted
    if meaning in _SAID:
        return _speaks(value) or _is_one_of_several(key, row, found)
    if meaning == "input":
        if isinstance(value, dict):  # a request to a chat API, as a log has it
            return "messages" in value or "contents" in value
        return isinstance(value, list) and not any(isinstance(one, int | float) for one in value)
    return True


def _speaks(value: Any) -> bool:
    """Objects with the keys of turns, of parts, of ranked answers."""
    some = value if isinstance(value, list) else [value]
    return bool(some) and all(
        isinstance(one, dict) and not _SPEECH.isdisjoint(map(plain, one)) for one in some
    )


def _is_one_of_several(key: str, row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """A list of texts that Python printed, or beside which something says which of them is meant."""
    value = found[key]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value) or not value:
        return False
    printed = str(row[key]).lstrip()[1:].lstrip()[:1] == "'"
    beside = any(
        isinstance(other, list) and len(other) == len(value)
        for name, other in found.items()
        if name_of(name).meaning not in (*_SAID, "input", "choices")
    )
    told = any(
        name_of(name).meaning in ("winner", "chosen") and name != key and str(cell).strip()
        for name, cell in row.items()
    )
    return printed or beside or told
