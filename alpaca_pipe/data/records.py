"""What a reader finds at a place of a file: a row as it stands there, or something that is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LONGEST = (
    16 << 20
)  # bytes of one row: no instruction data is longer, and it bounds what a broken file can take of memory
_SHOWN = 1 << 16  # characters of an unreadable row that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """A value as the file holds it. at: the line that it begins on, or its number, from 1.  row: its number where `at` is a line
    that a row before it begins on, else 0."""

    at: int
    value: Any
    row: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What is wrong at a place (`at` and `row` as of a Record), what to do, and the text that stands there."""

    at: int
    what: str
    cure: str
    text: str = ""
    ends: bool = (
        False  # nothing after it can be told apart, so that it cannot be set aside like one bad row
    )
    row: int = 0

    @property
    def place(self) -> str:
        """Within its file."""
        return f"{self.at}, row {self.row}" if self.row else str(self.at)


@dataclass(frozen=True, slots=True)
class Beside:
    """Keys of a file that stand beside its rows, and are no part of any."""

    at: int
    keys: tuple[str, ...]


Found = Record | Unreadable | Beside


def kept_text(value: Any) -> str:
    """What stands at a bad place, as a text that any file can hold; a very long one is cut, and says so."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def kind_of(value: Any) -> str:
    """A value's type in plain words."""
    names = {
        dict: "an object",
        list: "a list",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        bytes: "bytes",
        type(None): "null",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def bad_byte(text: str) -> str:
    """ "byte 0xe9" for the first byte that was no UTF-8 (read with `surrogateescape`), or ""."""
    try:
        text.encode()
        return ""
    except UnicodeEncodeError as error:
        return f"byte 0x{ord(text[error.start]) & 0xFF:02x}"
