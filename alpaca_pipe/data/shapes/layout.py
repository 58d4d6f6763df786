"""The keys of a row with what they mean and what kind of value stands there: all that a shape is chosen by."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from alpaca_pipe.data.shapes.keys import EARLIER, WEAK, Meaning, name_of

Kind = Literal[
    "empty",
    "text",
    "json",
    "number",
    "bool",
    "date",
    "objects",
    "texts",
    "lists",
    "object",
    "other",
]
TEXTS: frozenset[Kind] = frozenset(
    ("text", "json", "number", "bool", "date", "texts", "object", "objects")
)
LISTS: frozenset[Kind] = frozenset(("objects", "texts", "lists", "json"))
# A text under such a key belongs to the row: where it is not read, the row is not read.
_BELONGS: frozenset[Meaning] = frozenset(
    (
        "instruction",
        "input",
        "system",
        "history",
        "messages",
        "chosen",
        "rejected",
        "choices",
        "label",
        "weight",
        "status",
        "tools",
        "media",
    )
)
_NO_NUMBERS: frozenset[Meaning] = frozenset(
    ("messages", "history", "tools", "media", "chosen", "rejected")
)
_NO_DIGITS: frozenset[Meaning] = frozenset(("chosen", "winner", "messages", "history"))
TALK: frozenset[Kind] = frozenset(("objects", "texts", "lists", "json", "object"))
# Beside each other, as texts, they are answers; as true or false they are verdicts.
_SIDES: dict[str, Meaning] = {
    "accepted": "chosen",
    "good": "chosen",
    "approved": "chosen",
    "bad": "rejected",
}
Signature = tuple[tuple[str, Kind], ...]


class Column(NamedTuple):
    """A key of a row. rank: see keys.Name; variant: what tells answer_a from answer_b."""

    key: str
    kind: Kind
    meaning: Meaning
    rank: int
    plain: str
    variant: str = ""

    @property
    def belongs(self) -> bool:
        """Whether the row says less without it."""
        if self.kind in ("number", "bool") and self.meaning in _NO_NUMBERS:
            return False
        if self.kind == "other" and self.meaning in ("instruction", "input", "messages"):
            return False  # numbers: a text as tokens
        return self.meaning in _BELONGS and self.rank < WEAK and self.kind != "empty"


def kind_of(value: Any) -> Kind:
    """What kind of value a row holds under a key; null, NaN, blanks and empty lists are `empty`."""
    if isinstance(value, str):
        if value[:1].isalnum():
            return "bool" if len(value) < 6 and value.lower() in ("true", "false") else "text"
        if not value or value.isspace():
            return "empty"
        return "json" if value[0] in "[{" and value.rstrip()[-1] in "]}" else "text"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "number"
    if isinstance(value, float):
        return "empty" if math.isnan(value) else "number"
    if isinstance(value, list):
        return _kind_of_list(value)
    if isinstance(value, dict):
        return "object" if value else "empty"
    return "date" if hasattr(value, "isoformat") else "other"


def _kind_of_list(value: list[Any]) -> Kind:
    first = next((one for one in value if one is not None), None)
    if first is None:
        return "empty"
    kinds: tuple[tuple[type, Kind], ...] = ((dict, "objects"), (str, "texts"), (list, "lists"))
    return next((kind for type_, kind in kinds if isinstance(first, type_)), "other")


def signature_of(row: Mapping[str, Any]) -> Signature:
    return tuple(
        [
            (
                key,
                "text"  # as kind_of has it: nine values of ten
                if type(value) is str and len(value) > 5 and value[0].isalnum()
                else ("empty" if value == "" else _kind_under(key, value)),
            )
            for key, value in row.items()
        ]
    )


def _kind_under(key: str, value: Any) -> Kind:
    """A number in a cell is no answer that was chosen, and no conversation."""
    if isinstance(value, str) and len(value) < 3 and value.isdigit():
        return "number" if name_of(key).meaning in _NO_DIGITS else "text"
    return kind_of(value)


@dataclass(frozen=True)
class Layout:
    """The columns of rows that look alike, in their order."""

    columns: tuple[Column, ...]
    given: frozenset[str] = field(default_factory=frozenset)  # meanings that the user named

    @staticmethod
    def of(signature: Signature, given: Mapping[str, tuple[Meaning, int]] | None = None) -> Layout:
        """given: key -> what the user says that it means, and its place among those of that meaning."""
        told = given or {}
        columns = tuple(_column(key, kind, told) for key, kind in signature)
        letters = {one.plain for one in columns if one.kind != "empty"}
        if {"a", "b", "c", "d"} <= letters:
            columns = tuple(
                one._replace(meaning="choices", rank=50, variant=one.plain)
                if one.plain in ("a", "b", "c", "d", "e")
                else one
                for one in columns
            )
        if letters & {
            "input_hash",
            "task_hash",
        }:  # Prodigy: its answer is what the annotator thinks of the row
            columns = tuple(
                one._replace(meaning="status", rank=50) if one.plain == "answer" else one
                for one in columns
            )
        if _has_answer(columns):  # `correct` beside an answer says whether it is right
            columns = tuple(
                one._replace(meaning="label", rank=WEAK) if one.plain == "correct" else one
                for one in columns
            )
        named = frozenset(meaning for meaning, _ in told.values())
        return Layout(columns, named)

    def all(self, *meanings: Meaning, kinds: Collection[Kind] = TEXTS) -> list[Column]:
        """The columns of a meaning that hold something of such a kind, the best name first."""
        found = [one for one in self.columns if one.meaning in meanings and one.kind in kinds]
        return sorted(found, key=lambda one: (meanings.index(one.meaning), one.rank))

    def first(self, *meanings: Meaning, kinds: Collection[Kind] = TEXTS) -> Column | None:
        return next(iter(self.all(*meanings, kinds=kinds)), None)

    def unread(self, read: Collection[str]) -> Iterator[Column]:
        """The columns that hold something and are not among `read`."""
        return (one for one in self.columns if one.key not in read and one.kind != "empty")


def _has_answer(columns: Collection[Column]) -> bool:
    """Whether a column holds the answer by a name that means nothing else, and nothing was to be chosen from."""
    answers = [one for one in columns if one.meaning == "output" and one.rank < WEAK]
    choices = [one for one in columns if one.meaning == "choices" and one.kind != "empty"]
    return any(one.kind != "empty" and not one.variant for one in answers) and not choices


def _column(key: str, kind: Kind, given: Mapping[str, tuple[Meaning, int]]) -> Column:
    name = name_of(key)
    if key in given:
        meaning, place = given[key]
        return Column(key, kind, meaning, place - 100, name.plain)
    meaning = name.meaning
    if given and meaning in {one for one, _ in given.values()}:
        return Column(key, kind, meaning, max(name.rank, EARLIER), name.plain, name.variant)
    if kind == "bool" and name.plain == "correct":
        meaning = "label"
    elif kind in ("text", "objects") and name.plain in _SIDES:
        return Column(key, kind, _SIDES[name.plain], 50, name.plain)
    return Column(key, kind, meaning, name.rank, name.plain, name.variant)
