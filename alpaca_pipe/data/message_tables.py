"""Tables with one message a row: put together again by their conversation, or by the message that each one answers.

Such a table is held in memory whole, for a conversation may end anywhere in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from alpaca_pipe.data.records import Found, Record, Unreadable
from alpaca_pipe.data.shapes.keys import plain
from alpaca_pipe.data.shapes.roles import CONTENT_KEYS, ROLE_KEYS, role_of

_CONVERSATIONS = (
    "conversation_id",
    "conversationid",
    "conv_id",
    "dialogue_id",
    "dialog_id",
    "thread_id",
    "session_id",
    "chat_id",
    "conversation",
    "dialogue",
    "message_tree_id",
)
_PLACES = (
    "turn",
    "turn_id",
    "turn_index",
    "turn_number",
    "message_index",
    "position",
    "order",
    "seq",
    "step",
)
_MESSAGE, _PARENT = ("message_id", "id", "uuid"), ("parent_id", "parent_message_id", "parent")


def put_together(found: Iterator[Found]) -> Iterator[Found]:
    """Conversations where the first row is one message of one; else what was found, as it is."""
    first = next(found, None)
    if first is None:
        return
    every = chain((first,), found)
    keys = _keys(first.value) if isinstance(first, Record) else {}
    if not isinstance(first, Record) or not _is_message(first.value, keys):
        yield from every
    elif _one_of(keys, _PARENT) and _one_of(keys, _MESSAGE):
        yield from _trees(every, keys)
    else:
        yield from _conversations(every, keys)


def _keys(row: Any) -> dict[str, str]:
    return {plain(str(key)): str(key) for key in row} if isinstance(row, dict) else {}


def _one_of(keys: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((keys[name] for name in names if name in keys), None)


def _is_message(row: Any, keys: Mapping[str, str]) -> bool:
    role, content = _one_of(keys, ROLE_KEYS), _one_of(keys, CONTENT_KEYS)
    if not role or not content or not isinstance(row[content], str):
        return False
    several = _one_of(keys, _CONVERSATIONS) or _one_of(keys, _PARENT)
    known = isinstance(row[role], str) and role_of(row[role], {}) is not None
    return known and (several is not None or len(row) <= 3)


def _rows(found: Iterator[Found], bad: list[Found]) -> Iterator[Record]:
    for one in found:
        if isinstance(one, Record) and isinstance(one.value, dict):
            yield one
        elif isinstance(one, Record):  # of another kind
            bad.append(Unreadable(one.at, "the row is not an object", "write one message a row"))
        else:
            bad.append(one)


def _conversations(found: Iterator[Found], keys: Mapping[str, str]) -> Iterator[Found]:
    """Rows of one conversation, in the order of their places where they have such; without an id all are one."""
    by, place = _one_of(keys, _CONVERSATIONS), _one_of(keys, _PLACES)
    bad: list[Found] = []
    talks: dict[str, list[Record]] = {}
    for one in _rows(found, bad):
        talks.setdefault(str(one.value.get(by)) if by else "", []).append(one)
    yield from bad
    for talk in talks.values():
        if place:
            talk.sort(key=lambda one: _number(one.value.get(place)))
        passed = {key for key in (by, place) if key}
        turns = [
            {key: value for key, value in one.value.items() if key not in passed} for one in talk
        ]
        yield Record(talk[0].at, {"messages": turns})


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _trees(found: Iterator[Found], keys: Mapping[str, str]) -> Iterator[Found]:
    """Each message that answers none is the root of a tree, as OpenAssistant writes them."""
    own, parent = _one_of(keys, _MESSAGE), _one_of(keys, _PARENT)
    content = _one_of(keys, CONTENT_KEYS)
    assert own and parent and content
    bad: list[Found] = []
    nodes: dict[str, dict[str, Any]] = {}
    roots: list[Record] = []
    for one in _rows(found, bad):
        node = {**one.value, "text": one.value.get(content), "replies": []}
        nodes[str(one.value.get(own))] = node
        if one.value.get(parent) in (None, ""):
            roots.append(Record(one.at, {"message_tree_id": one.value.get(own), "prompt": node}))
    yield from bad
    for node in nodes.values():
        above = nodes.get(str(node.get(parent)))
        if above is not None and above is not node:
            above["replies"].append(node)
    yield from roots
