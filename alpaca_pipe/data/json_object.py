"""A JSON file that is one object: a row by itself, a list of rows under a key, rows by their ids, or a table by its columns.

It is read twice where it holds many rows: once to see what stands under which key, then row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from alpaca_pipe.data.compression import BreaksOff
from alpaca_pipe.data.json_rows import JsonText, element, elements
from alpaca_pipe.data.records import Beside, Found, Record, Unreadable
from alpaca_pipe.data.shapes.keys import WEAK, name_of, plain
from alpaca_pipe.data.shapes.known_shapes import fits
from alpaca_pipe.data.shapes.layout import Layout, signature_of
from alpaca_pipe.data.splits import chosen_split, split_of

Data = Callable[[], Iterable[bytes]]
_MEND = "write one row a line, or a list of rows: [ {...}, {...} ]"
_SAMPLES, _SAMPLED_KEYS = 3, 40
_HOLDERS = (
    "data",
    "rows",
    "instances",
    "examples",
    "items",
    "records",
    "conversations",
    "messages",
    "dialogs",
    "results",
    "samples",
    "entries",
)


class Member(NamedTuple):
    """What stands under a key of the object: how much of it, and the first of it (of an object, with its keys)."""

    key: str
    kind: str  # list, object, value
    size: int
    samples: tuple[Any, ...]
    keys: tuple[str, ...] = ()

    @property
    def begun(self) -> Any:
        """The value as far as it was looked at."""
        if self.kind == "object":
            return dict(zip(self.keys, self.samples, strict=True))
        return list(self.samples) if self.kind == "list" else self.samples[0]


def object_rows(data: Data, split: str | None = None) -> Iterator[Found]:
    """The rows of a file that begins with `{`: one object, or several, one behind the other over any lines."""
    members, more = _outline(data())
    if isinstance(members, Unreadable):
        yield members
        return
    if more:
        yield from _several(data())
        return
    by_split = {one.key: one for one in members if split_of(one.key) and _holds_rows(one)}
    if split or len(by_split) > 1:
        name = chosen_split(by_split, split, "the file")
        yield from _under(data(), name)
        yield Beside(1, tuple(one.key for one in members if one.key != name))
    elif _is_table(members):
        yield from _by_columns(data())
        if "columns" in {one.key for one in members}:
            held = ("columns", "data", "index", "index_names", "column_names")
            yield Beside(1, tuple(one.key for one in members if one.key not in held))
    elif key := _holder(members):
        yield from _under(data(), key)
        yield Beside(1, tuple(one.key for one in members if one.key != key))
    elif _by_id(members):
        yield from _values(data())
    else:
        yield from _several(data())


def holds_splits(data: Iterable[bytes]) -> bool:
    """Whether it is one object whose members are splits."""
    members, more = _outline(data)
    if more or isinstance(members, Unreadable):
        return False
    return any(split_of(one.key) and _holds_rows(one) for one in members)


def _outline(data: Iterable[bytes]) -> tuple[list[Member] | Unreadable, bool]:
    """(the members of the first object, or why it cannot be read; whether more stands behind it)."""
    text, members = JsonText(data), list[Member]()
    for key in _keys(text):
        if isinstance(key, Unreadable):
            return key, False
        mark = text.skip()
        if mark == "[":
            size, samples = 0, list[Any]()
            for found in elements(text):
                if isinstance(found, Unreadable):
                    return found, False
                size += 1
                samples += [found.value] if size <= _SAMPLES else []
            members.append(Member(key, "list", size, tuple(samples)))
        elif mark == "{":
            size, samples, names = 0, [], list[str]()
            for inner in _keys(text):
                text.skip()
                found = inner if isinstance(inner, Unreadable) else element(text)
                if isinstance(found, Unreadable):
                    return found, False
                size += 1
                if size <= _SAMPLED_KEYS and isinstance(inner, str):
                    samples.append(found.value)
                    names.append(inner)
            members.append(Member(key, "object", size, tuple(samples), tuple(names)))
        else:
            found = element(text)
            if isinstance(found, Unreadable):
                return found, False
            members.append(Member(key, "value", 1, (found.value,)))
    more = bool(text.skip())
    if text.broken:
        return Unreadable(text.line(), str(text.broken), "fetch it again", ends=True), False
    return members, more


def _keys(text: JsonText) -> Iterator[str | Unreadable]:
    """The keys of the object at the place, each when the place stands before its value; moves behind the object."""
    text.skip()
    text.at += 1
    while (mark := text.skip()) != "}":
        found = element(text) if mark == '"' else None
        if not isinstance(found, Record) or text.skip() != ":":
            what = "not JSON: a key in quotes and a colon are expected here"
            yield Unreadable(text.line(), what, _MEND, ends=True)
            return
        text.at += 1
        yield str(found.value)
        if (mark := text.skip()) == ",":
            text.at += 1
        elif mark != "}":
            yield Unreadable(text.line(), "not JSON: ',' or '}' is expected here", _MEND, ends=True)
            return
    text.at += 1


def _several(data: Iterable[bytes]) -> Iterator[Found]:
    """Each value of the file as a row; after a bad one nothing can be told apart."""
    text = JsonText(data)
    while text.skip():
        found = element(text)
        if isinstance(found, Unreadable):
            yield replace(found, ends=True)
            return
        yield found


def _under(data: Iterable[bytes], key: str) -> Iterator[Found]:
    """The elements of the list, or the values of the object, under a key."""
    text = JsonText(data)
    for one in _keys(text):
        if isinstance(one, Unreadable):
            yield one
            return
        if one == key:
            yield from elements(text) if text.skip() == "[" else _each(text)
            return
        _pass_over(text)


def _pass_over(text: JsonText) -> None:
    """Moves behind a value, however long it is."""
    mark = text.skip()
    for _ in elements(text) if mark == "[" else _each(text) if mark == "{" else (element(text),):
        pass


def _values(data: Iterable[bytes]) -> Iterator[Found]:
    yield from _each(JsonText(data))


def _each(text: JsonText) -> Iterator[Found]:
    for one in _keys(text):
        if isinstance(one, Unreadable):
            yield one
            return
        text.skip()
        yield element(text)


def _by_columns(data: Iterable[bytes]) -> Iterator[Found]:
    """pandas writes {"column": {"0": value}}, {"column": [value]} or {"columns": [...], "data": [[...]]}. All in memory."""
    try:
        whole: dict[str, Any] = json.loads(b"".join(data))
    except (ValueError, RecursionError, BreaksOff) as error:
        yield Unreadable(1, f"not JSON: {error}", _MEND, ends=True)
        return
    if isinstance(whole.get("columns"), list):
        names, rows = whole["columns"], whole["data"]
    else:
        names = list(whole)
        columns = [list(one.values()) if isinstance(one, dict) else one for one in whole.values()]
        rows = zip(*columns, strict=True)
    for number, row in enumerate(rows, 1):
        yield Record(number, dict(zip(names, row, strict=False)))


def _is_table(members: Sequence[Member]) -> bool:
    by_key = {one.key: one for one in members}
    if {"columns", "data"} <= by_key.keys():
        return by_key["columns"].kind == "list" == by_key["data"].kind and all(
            isinstance(row, list) for row in by_key["data"].samples
        )
    kinds, sizes = {one.kind for one in members}, {one.size for one in members}
    if len(members) < 2 or len(sizes) != 1 or len(kinds) != 1 or kinds == {"value"}:
        return False
    means = {name_of(one.key).meaning for one in members}
    if kinds == {"object"} and len({one.keys for one in members}) > 1:
        return False
    plainly = not any(isinstance(value, dict) for one in members for value in one.samples)
    return bool(plainly and "output" in means and means & {"instruction", "input", "text"})


def _holds_rows(member: Member) -> bool:
    """Whether its elements are rows."""
    rows = [one for one in member.samples if isinstance(one, dict)]
    return bool(rows) and len(rows) == len(member.samples) and is_row(rows[0])


def is_row(value: Any) -> bool:
    """Whether some shape reads such a value."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict) and _speaks(value[0])
    if not isinstance(value, Mapping):
        return False
    layout = Layout.of(signature_of({str(key): one for key, one in value.items()}))
    found = [shape.name for shape, _ in fits(layout)]
    inner = any(isinstance(value.get(key), dict) for key in ("row", "json", "example"))
    return bool(found and found != ["transcript"]) or inner or bool(layout.first("text"))


def _speaks(value: Mapping[str, Any]) -> bool:
    """Whether it is one turn of a conversation."""
    names = {plain(key) for key in value}
    return bool(names & {"role", "from", "author", "sender", "speaker"})


def _holder(members: Sequence[Member]) -> str:
    """The key whose elements are the rows, where the object is not a row by itself."""
    whole = {one.key: one.begun for one in members}
    lists = [one for one in members if one.kind == "list" and one.samples]
    held = [
        one
        for one in lists
        if all(isinstance(value, dict | list) for value in one.samples)
        and is_row(one.samples[0])
        and not (isinstance(one.samples[0], dict) and _speaks(one.samples[0]))
    ]
    names = {plain(one.key): one.key for one in held}
    outer = [one for one in fits(Layout.of(signature_of(whole))) if one[0].name != "transcript"]
    first = next((names[name] for name in _HOLDERS if name in names), "")
    if not outer:
        alone = len(held) == 1 and not any(_says_something(one) for one in members)
        return first or (held[0].key if alone else "")
    reading = {one[0].name for one in outer}
    inner = [one for one in held if isinstance(one.samples[0], dict) and _has_turns(one.samples[0])]
    if reading == {"conversation"} and inner:
        return inner[0].key
    if reading == {"instances"} and first and not _needs_outer(whole, first):
        return first
    return ""


def _says_something(member: Member) -> bool:
    """Whether it is a text of a row, and not a note about the file."""
    text = member.kind == "value" and isinstance(member.samples[0], str)
    return text and name_of(member.key).meaning not in ("", "meta")


def _has_turns(value: Mapping[str, Any]) -> bool:
    return any(isinstance(one, list) and one and isinstance(one[0], dict) for one in value.values())


def _needs_outer(whole: Mapping[str, Any], key: str) -> bool:
    """Whether what the elements lack stands beside them."""
    inner = Layout.of(signature_of(whole[key][0]))
    return not (inner.first("instruction", kinds=("text", "json", "number", "object", "texts")))


def _by_id(members: Sequence[Member]) -> bool:
    """Whether every value is a row, under its id."""
    if any(one.kind == "value" for one in members) or not members:
        return False
    return all(
        (name_of(one.key).meaning in ("", "meta") or name_of(one.key).rank >= WEAK)
        and is_row(one.begun)
        for one in members[:_SAMPLED_KEYS]
    )
