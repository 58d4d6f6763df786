"""Rows of JSON: one object a line, or one list, read piece by piece; each row with the line that it begins on."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

from alpaca_pipe.data.compression import CHUNK, BreaksOff
from alpaca_pipe.data.records import LONGEST, Found, Record, Unreadable, bad_byte, kept_text

_LATIN = "convert the file: iconv -f latin1 -t utf-8 FILE > FIXED"
_AGAIN = "fetch it again, or unpack what is left of it"
_MEND = "fix this place; a list is [ {...}, {...} ]"
_REPR = re.compile(r"""\s*[\[({]*\s*[{]\s*'""")
_DUMPS = "write it with json.dumps; ast.literal_eval reads what is there"
_NEAR = (
    16  # an error so near the end of what was read may be a piece that is cut there (`\ud83d\ude0`)
)


def lines(data: Iterable[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(number from 1, bytes without the line feed) of each line; only a line feed ends one. None: longer than LONGEST."""
    parts: list[bytes] = []
    number, size = 1, 0
    for chunk in data:
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            size += len(piece)
            yield number, b"".join([*parts, piece]) if size <= LONGEST else None
            parts, size, number = [], 0, number + 1
        size += len(rest)
        if size <= LONGEST:
            parts.append(rest)
        else:
            parts.clear()
    if size:
        yield number, b"".join(parts) if size <= LONGEST else None


def json_lines(data: Iterable[bytes]) -> Iterator[Found]:
    """One JSON value a line; empty lines are nothing. Each bad line is told, and the next one is read."""
    number = 0
    try:
        for number, line in lines(data):
            if line is None:
                yield Unreadable(
                    number,
                    f"the line is longer than {LONGEST >> 20} MiB, which no instruction data is",
                    "write one object a line, or one JSON list for the whole file",
                )
            elif line and not line.isspace():
                yield _value(number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
    except BreaksOff as broken:
        yield Unreadable(number + 1, str(broken), _AGAIN, ends=True)


def _value(number: int, line: bytes) -> Found:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Unreadable(
            number,
            f"not UTF-8 at byte {error.start + 1} of the line (0x{line[error.start]:02x})",
            _LATIN,
            line.decode(errors="backslashreplace"),
        )
    try:
        value = json.loads(text)
        return _said_twice(number, text) or Record(number, value)
    except json.JSONDecodeError as error:
        return Unreadable(number, *_why(text, error), kept_text(text))
    except RecursionError:
        return Unreadable(
            number, "nested too deeply to be instruction data", "remove this row", kept_text(text)
        )


def _said_twice(line: int, text: str) -> Unreadable | None:
    """Of two values under one key JSON's readers take the last. Looked at in the first lines: who writes such rows writes many."""
    if line > _LOOKED_AT:
        return None
    try:
        json.loads(text, object_pairs_hook=_checked)
    except KeyError as key:
        what = f"an object has the key {key} twice, and only one of its values would be read"
        return Unreadable(line, what, "give each value a key of its own", kept_text(text))
    return None


def _checked(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise KeyError(next(name for name in names if names.count(name) > 1))


def _why(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    """What is wrong, and what to do: the mistakes that are made often have sentences of their own."""
    if "\0" in text:
        return "it holds NUL bytes: the file is damaged", "fetch it again, or remove this place"
    if _REPR.match(text):
        return "a Python repr (single quotes), not JSON", _DUMPS
    place = (
        f"line {error.lineno}, column {error.colno}"
        if error.lineno > 1
        else f"column {error.colno}"
    )
    if error.msg == "Extra data":
        return f"not JSON: a second value begins at {place}", "write one object a line"
    return (
        f"not JSON: {error.msg.removesuffix(' at')} at {place}",
        "write one whole object a line, or one JSON list for the whole file",
    )


class JsonText:
    """The part of a text that is being read: it grows at its end, loses what was read, and knows its line."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self._data = iter(data)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._line, self._counted = 1, 0
        self.text, self.at, self.ended = "", 0, False
        self.broken: BreaksOff | None = None

    def more(self) -> bool:
        """Reads as much again as is there; False at the end of the file. Of what was read the line's beginning stays."""
        self.line()
        start = max(self.text.rfind("\n", 0, self.at), self.at - _INDENT, 0)
        parts, size = [self.text[start:]], 0
        while not self.ended and size < max(CHUNK, len(parts[0])):
            try:
                data = next(self._data, None)
            except BreaksOff as broken:
                data, self.broken = None, broken
            self.ended = data is None
            parts.append(self._decoder.decode(data or b"", final=self.ended))
            size += len(parts[-1])
        self.text, self.at, self._counted = "".join(parts), self.at - start, self.at - start
        return size > 0

    def line(self) -> int:
        """The line of `at`."""
        self._line, self._counted = (
            self._line + self.text.count("\n", self._counted, self.at),
            self.at,
        )
        return self._line

    def indent(self) -> str | None:
        """The blanks before `at`, where nothing else stands before it on its line."""
        start = self.text.rfind("\n", 0, self.at) + 1
        before = self.text[start : self.at]
        return before if start and not before.strip(" \t") else None

    def skip(self) -> str:
        """Goes to the next character that is no blank, and answers it; "" at the end."""
        here = self.text[self.at : self.at + 1]
        if here in _MARKS:
            return here
        while True:
            blanks = _BLANKS.match(self.text, self.at)
            self.at = blanks.end() if blanks else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


_MARKS = frozenset(",]{[")  # what mostly stands there
_BLANKS = re.compile(r"[ \t\r\n\ufeff]*")
_INDENT = 200  # characters: no row is indented deeper


def json_list(data: Iterable[bytes]) -> Iterator[Found]:
    """The elements of one JSON list, one in memory at a time.

    After a bad element it goes on with the next one that begins a line with the same indentation, as in every list that
    was written with `indent` or a row a line; in another list nothing after it can be told apart.
    """
    text = JsonText(data)
    if text.skip() != "[":
        yield Unreadable(text.line(), "not a JSON list", _MEND, ends=True)
        return
    if not (yield from elements(text)):
        return
    if text.skip():
        yield Unreadable(text.line(), "not JSON: Text after the end of the list", _MEND, ends=True)
    elif text.broken:
        yield Unreadable(text.line(), str(text.broken), _AGAIN, ends=True)


def elements(text: JsonText) -> Generator[Record | Unreadable, None, bool]:
    """The elements of the list that begins at the place, which moves behind it. Answers whether the list was closed: else
    nothing behind it can be read."""
    line, number = 0, 0
    text.at += 1
    while (mark := text.skip()) != "]":
        if not mark:
            what = str(text.broken or "not JSON: the list is not closed, the file is cut off")
            yield Unreadable(
                text.line(), what, _AGAIN if text.broken else _MEND, ends=bool(text.broken)
            )
            return False
        begins, number = text.line(), number + 1
        found = element(text)
        if begins > line:
            yield found
        elif isinstance(found, Record):
            yield Record(found.at, found.value, number)
        else:
            yield replace(found, row=number)
        line = begins
        if isinstance(found, Unreadable) and (
            found.ends or text.at == len(text.text) and text.ended
        ):
            return False
        if isinstance(found, Record) and (mark := text.skip()) == ",":
            text.at += 1
        elif isinstance(found, Record) and mark and mark != "]":
            yield (gap := _between(text, mark))
            if gap.ends:
                return False
    text.at += 1
    return True


def element(text: JsonText) -> Record | Unreadable:
    """The value at the place, which moves behind it; where it is bad, to the next value."""
    while True:
        try:
            value, end = _DECODER.raw_decode(text.text, text.at)
        except RecursionError:
            return Unreadable(
                text.line(),
                "nested too deeply to be instruction data",
                "remove this row",
                ends=True,
            )
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated string") or error.pos >= len(text.text) - _NEAR
            if cut and len(text.text) - text.at > LONGEST:
                return Unreadable(
                    text.line(),
                    f"the row is longer than {LONGEST >> 20} MiB, which no instruction data is",
                    _MEND,
                    ends=True,
                )
            if cut and text.more():
                continue
            if cut and text.broken:
                return Unreadable(text.line(), str(text.broken), _AGAIN, ends=True)
            rest = text.text[text.at :]
            what, _ = _why(rest, json.JSONDecodeError(error.msg, rest, error.pos - text.at))
            line = text.line() + text.text.count("\n", text.at, error.pos)
            return _resumed(text, line, re.sub(r" at (line \d+, )?column \d+$", "", what))
        if end == len(text.text) and text.more():
            continue  # a number may go on behind what was read
        line, piece, text.at = text.line(), text.text[text.at : end], end
        if not piece.isascii() and (byte := bad_byte(piece)):
            if text.skip() == ",":
                text.at += 1
            return Unreadable(line, f"not UTF-8: {byte}", _LATIN, kept_text(piece))
        return _said_twice(line, piece) or Record(line, value)


def _between(text: JsonText, mark: str) -> Unreadable:
    """Something else than a comma behind an element: where it is the next one, nothing is lost by going on."""
    what = f"not JSON: Expecting ',' or ']', not {mark!r}"
    return (
        Unreadable(text.line(), what, _MEND) if mark == "{" else _resumed(text, text.line(), what)
    )


def _resumed(text: JsonText, line: int, what: str) -> Unreadable:
    """Moves behind the bad piece at the place, to where the next element begins; tells the piece."""
    indent, looked = text.indent(), 0
    cure = _DUMPS if what.startswith("a Python repr") else _MEND
    while indent is not None:
        found = re.compile(rf"\n{indent}(?=\{{)").search(text.text, text.at + looked)
        if found:
            piece, text.at = text.text[text.at : found.start()], found.end()
            return Unreadable(line, what, cure, kept_text(piece.rstrip(", \t\r\n")))
        looked = max(0, len(text.text) - text.at - _INDENT)
        if len(text.text) - text.at > LONGEST or not text.more():
            break
    piece, text.at = text.text[text.at :], len(text.text)
    return Unreadable(line, what, cure, kept_text(piece), ends=indent is None or not text.ended)


_DECODER = json.JSONDecoder()
_LOOKED_AT = 500  # lines
