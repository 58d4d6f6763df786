"""Reads the two files that Alpaca data comes in: a JSON list, or one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, UserErrors, did_you_mean
from alpaca_pipe.core.example import Example, Origin, numbered

_FIELDS = ("instruction", "input", "output", "system")
_SHOWN = 20  # errors told at once; a file of another kind would fill the screen


def read_alpaca(path: Path) -> Iterator[Example]:
    """The rows of `path` in file order; origin is `imported`, source `name#line` (1-based, where the row begins).

    Rows are {"instruction", "output", optionally "input" and "system"}, all strings; other keys are not read.
    Texts are kept as they are, empty ones too: judging them is the filters' work. The whole file is checked before
    the first row is handed out: UserErrors holds each bad place (the first 20) with its line. A JSON list is held in
    memory, JSONL is not.
    """
    faults = (fault for line, value in _values(path) if (fault := _fault(value, f"{path}:{line}")))
    if errors := list(islice(faults, _SHOWN)):
        raise UserErrors(errors)
    rows = numbered(_example(value, f"{path.name}#{line}") for line, value in _values(path))
    first = next(rows, None)
    if first is None:
        raise UserError(f"{path}: the file has no rows", "name a file with at least one instruction and its output")
    return _again(first, rows)


def _again(first: Example, rest: Iterator[Example]) -> Iterator[Example]:
    yield first
    yield from rest


def _example(value: dict[str, Any], source: str) -> Example:
    texts = [value.get(name) or "" for name in _FIELDS]
    return Example.of(texts[0], texts[1], texts[2], Origin("imported", source), texts[3])


def _fault(value: Any, place: str) -> UserError | None:
    """What is wrong with one row, and what to do about it."""
    if isinstance(value, UserError):
        return value
    if not isinstance(value, dict):
        return UserError(f"{place}: the row is {_kind(value)}, not an object",
                         'write {"instruction": ..., "input": ..., "output": ...}')
    for name in ("instruction", "output"):
        if name not in value:
            return UserError(f"{place}: the row has no '{name}'", did_you_mean(name, value) or "write it in quotes")
    for name in _FIELDS:
        text = value.get(name, "")
        left_out = text is None and name in ("input", "system")
        if not isinstance(text, str) and not left_out:
            return UserError(f"{place}: '{name}' is {_kind(text)}, not a text", "put it in quotes, or remove the row")
        if text and any("\ud800" <= letter <= "\udfff" for letter in text):
            return UserError(f"{place}: '{name}' holds half of a surrogate pair (\\ud800 ... \\udfff)",
                             "write the whole character, or remove the row")
    return None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number",
             str: "a text"}
    return names.get(type(value), "null")


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """(line, value) of each row, or (line, UserError); the first character says which: `[` a list, else JSONL."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            while (first := stream.read(1)).isspace():
                pass
            stream.seek(0)
            yield from _listed(stream.read(), path) if first == "[" else _lined(stream, path)
    except UnicodeDecodeError as error:
        packed = path.suffix in (".gz", ".zst", ".zip", ".xz", ".bz2")
        raise UserError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})",
                        "unpack it first" if packed else
                        f"convert it: iconv -f latin1 -t utf-8 {path.name} > fixed-{path.name}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", "name a file that you may read") from None


def _lined(lines: Iterable[str], path: Path) -> Iterator[tuple[int, Any]]:
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                yield number, json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                yield number, UserError(f"{path}:{number}: not JSON: {error}",
                                        "write one whole object a line, or one JSON list for the whole file")


def _listed(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Element by element, for `json.loads` does not say on which line each one begins."""
    decoder = json.JSONDecoder()
    at, line, counted = _skip(text, text.index("[") + 1), 1, 0
    try:
        while text[at:at + 1] != "]":
            line, counted = line + text.count("\n", counted, at), at
            value, at = decoder.raw_decode(text, at)
            yield line, value
            at = _skip(text, at)
            if text[at:at + 1] == ",":
                at = _skip(text, at + 1)
            elif text[at:at + 1] != "]":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        if text[at + 1:].strip():
            raise json.JSONDecodeError("Text after the end of the list", text, _skip(text, at + 1))
    except json.JSONDecodeError as error:
        yield error.lineno, UserError(f"{path}:{error.lineno}: not JSON: {error}",
                                      "mend this place; a list is [ {...}, {...} ]")
    except RecursionError:
        yield line, UserError(f"{path}:{line}: nested too deeply to be instruction data", "remove this row")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
