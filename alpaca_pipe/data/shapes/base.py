"""What a shape is: it says which columns of a row it accounts for, and makes rows of ours of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes.layout import Column, Layout


class NotARow(Exception):
    """The value cannot be read as a row: (what is wrong, what to do)."""


class NotHeld(Exception):
    """The row is sound, and ours cannot hold it: the reason."""


class EqualAnswers(NotHeld):
    """The row compares two answers that say the same."""


class NoneBetter(NotHeld):
    """The row compares answers and says that none is the better one: no other shape is to read one of them."""


class NotWanted(Exception):
    """The row itself says that it is not to be learned: (rule, reason)."""


@dataclass(frozen=True)
class ShapeFit:
    """The columns that a shape reads of a row, by their part."""

    parts: Mapping[str, tuple[Column, ...]]

    @staticmethod
    def of(**parts: Column | None | list[Column]) -> ShapeFit:
        listed = {
            name: tuple(found) if isinstance(found, list) else (found,)
            for name, found in parts.items()
            if found
        }
        return ShapeFit(listed)

    def key(self, part: str) -> str:
        """The key of a part, "" where the row has none."""
        found = self.parts.get(part)
        return found[0].key if found else ""

    def keys(self, part: str) -> tuple[str, ...]:
        return tuple(one.key for one in self.parts.get(part, ()))

    @property
    def read(self) -> frozenset[str]:
        return frozenset(one.key for columns in self.parts.values() for one in columns)


@dataclass
class About:
    """What a reader knows of the row beside its texts, and where it says what it did to it."""

    source: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)  # who a speaker of the user's own is
    turn_keys: Mapping[str, str] = field(default_factory=dict)  # `role`, `content` -> its key
    remarks: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(
        default_factory=Counter
    )  # keys whose value says nothing that is known

    def origin(self, **details: Any) -> Origin:
        return Origin("imported", self.source, details=details)

    def say(self, remark: str) -> None:
        """Something that was done to this row and is told with its count."""
        self.remarks[remark] += 1


class Shape(Protocol):
    """A kind of row. One module each, listed in registry.py."""

    @property
    def name(self) -> str: ...

    def fit(self, layout: Layout) -> ShapeFit | None:
        """What it would read of such rows; None where they are no such rows."""

    def rows(
        self, row: Mapping[str, Any], fit: ShapeFit, about: About
    ) -> Iterator[Example | Preference]:
        """The rows of ours. Raises NotARow, NotHeld, NotWanted."""
