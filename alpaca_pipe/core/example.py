"""One row of instruction data, where it came from, and what is said of a row that was dropped."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Origin:
    """Where a row came from. source: the request key (generated), or file#line (seed, imported)."""

    kind: Literal["seed", "generated", "imported"]
    source: str = ""
    parents: tuple[
        str, ...
    ] = ()  # ids of the rows it was made from (shown seeds, or the row before a repair)
    details: Mapping[str, Any] = field(
        default_factory=dict
    )  # place "round/seat/item", nearest, score, style ...


@dataclass(frozen=True)
class Example:
    """An instruction, an optional input, and the wanted output. Make it with `Example.of`."""

    id: str
    instruction: str
    input: str
    output: str
    origin: Origin
    system: str = ""

    @staticmethod
    def of(instruction: str, input: str, output: str, origin: Origin, system: str = "") -> Example:
        return Example(
            example_id(instruction, input, output, system),
            instruction,
            input,
            output,
            origin,
            system,
        )

    def to_row(self) -> dict[str, Any]:
        """As a JSON row; empty optional parts are left out."""
        origin: dict[str, Any] = {"kind": self.origin.kind, "source": self.origin.source}
        if self.origin.parents:
            origin["parents"] = list(self.origin.parents)
        if self.origin.details:
            origin["details"] = dict(self.origin.details)
        row: dict[str, Any] = {
            "id": self.id,
            "instruction": self.instruction,
            "input": self.input,
            "output": self.output,
        }
        if self.system:
            row["system"] = self.system
        return row | {"origin": origin}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> Example:
        origin = row["origin"]
        return Example(
            row["id"],
            row["instruction"],
            row["input"],
            row["output"],
            Origin(
                origin["kind"],
                origin.get("source", ""),
                tuple(origin.get("parents", ())),
                origin.get("details", {}),
            ),
            row.get("system", ""),
        )


@dataclass(frozen=True)
class Rejected:
    """Something that was dropped: a row or an unreadable piece of a reply, its rule and the reason in a sentence."""

    what: Example | str
    rule: str
    reason: str
    source: str = ""  # request key or file#line, where `what` is only text
    nearest: str = ""  # id of the row that it resembles
    kind: Literal["generated", "imported"] = "generated"  # of the origin, where `what` is only text

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"rule": self.rule, "reason": self.reason}
        if self.nearest:
            row["nearest"] = self.nearest
        if isinstance(self.what, Example):
            return row | self.what.to_row()
        return row | {"text": self.what, "origin": {"kind": self.kind, "source": self.source}}


def example_id(*texts: str) -> str:
    """`e1-` + 20 hex of sha256 over the NFC texts, each with its length in bytes before it."""
    state = hashlib.sha256()
    for text in texts:
        data = unicodedata.normalize("NFC", text).encode()
        state.update(len(data).to_bytes(8, "big") + data)
    return f"e1-{state.hexdigest()[:20]}"


def numbered(examples: Iterable[Example]) -> Iterator[Example]:
    """The same rows, where the second row of one id is called `id#2`, the third `id#3` ..."""
    seen: dict[str, int] = {}
    for example in examples:
        count = seen[example.id] = seen.get(example.id, 0) + 1
        yield example if count == 1 else replace(example, id=f"{example.id}#{count}")
