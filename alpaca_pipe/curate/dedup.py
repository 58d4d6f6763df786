"""Duplicates: rows that were told before, by exact ROUGE-L, greedily in row order; in groups, of which one row stays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import Generic, Protocol, TypeVar

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.config import On
from alpaca_pipe.similarity.rouge import Index, rouge_l
from alpaca_pipe.similarity.words import Text, Words

RULE = "likeness"
T = TypeVar("T")
_BULK_FROM = (
    20_000  # rows: below, loading Numba (1 s, and 15 s once a machine) costs more than it saves
)
_PAIRS_FROM = 4_000  # rows with two texts, of which more has to be compared


@dataclass(frozen=True)
class Near:
    """A row that was told before: the place of the row it resembles, and their exact F."""

    place: int
    score: Fraction


@dataclass(frozen=True)
class Group:
    """Rows by place that tell the same: the one that stays, and the others with their F to the group's first row."""

    stays: int
    first: int
    others: tuple[tuple[int, Fraction], ...]


class Compared(Protocol):
    """What duplicates are told by, row by row, wherever it lies (here, or in `ray_backend`)."""

    def append(self, told_by: Text) -> None: ...

    def met(
        self, likeness: Decimal | Fraction, words: Words, minhash_from: int | None
    ) -> Mapping[int, Near]:
        """As the function below; a text is not held against a pair."""


class ComparedHere:
    """In this process."""

    def __init__(self) -> None:
        self._single, self._pairs = Apart[str](), Apart[tuple[str, str]]()

    def append(self, told_by: Text) -> None:
        place = len(self._single.places) + len(self._pairs.places)
        if isinstance(told_by, str):
            self._single.append(place, told_by)
        else:
            self._pairs.append(place, told_by)

    def met(
        self, likeness: Decimal | Fraction, words: Words, minhash_from: int | None
    ) -> Mapping[int, Near]:
        rows = len(self._single.texts) + len(self._pairs.texts)
        bulk_from = 0 if rows >= _BULK_FROM or len(self._pairs.texts) >= _PAIRS_FROM else _BULK_FROM
        found: dict[int, Near] = {}
        for some in (self._single, self._pairs):
            near = met(some.texts, likeness, words, bulk_from, minhash_from)
            found |= some.as_placed(near)
        return found


@dataclass
class Apart(Generic[T]):
    """Some of the rows, with their places among all."""

    texts: list[T] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("i"))

    def append(self, place: int, text: T) -> None:
        self.texts.append(text)
        self.places.append(place)

    def as_placed(self, found: Mapping[int, Near]) -> dict[int, Near]:
        return {
            self.places[place]: Near(self.places[near.place], near.score)
            for place, near in found.items()
        }


def told_by(example: Example, on: On) -> Text:
    """What is compared of a row. task: its instruction, and beside it its input where it has one; of a conversation, where a
    greeting may come first, all that its users asked."""
    if on == "row":
        return "\n".join((example.system, *example.texts))
    if on == "output":
        return example.answered
    if on == "input":
        return example.input
    if example.messages or on == "instruction+input":
        return example.asked
    if on == "instruction" or not example.input:
        return example.instruction
    return example.instruction, example.input


def met(
    texts: Sequence[Text],
    likeness: Decimal | Fraction,
    words: Words,
    bulk_from: int = _BULK_FROM,
    minhash_from: int | None = None,
) -> Mapping[int, Near]:
    """The texts, by place, that have a nearest one above the likeness among those before them that stayed. The greedy pass in
    row order: compiled and all at once from `bulk_from` texts on where Numba is there, else one by one; the same answer.
    From `minhash_from` texts on by MinHash, which misses a few."""
    if minhash_from is not None and len(texts) >= minhash_from:
        return dict(_by_minhash(texts, likeness, words))
    if len(texts) >= bulk_from and find_spec("numba") is not None:
        return dict(_at_once(texts, likeness, words))
    if texts and not isinstance(texts[0], str):
        return dict(
            _pairs_one_by_one(
                [text for text in texts if not isinstance(text, str)], likeness, words
            )
        )
    return dict(_one_by_one([text for text in texts if isinstance(text, str)], likeness, words))


def groups(near: Mapping[int, Near], worth: Sequence[Sequence[float]] | None = None) -> list[Group]:
    """The groups in the order of their first rows. worth: of each row; the highest stays, of equals the first; None: the
    first of each group stays."""
    members: dict[int, list[int]] = {}
    for place in sorted(near):
        members.setdefault(near[place].place, []).append(place)
    return [_group(first, members[first], near, worth) for first in sorted(members)]


def _group(
    first: int,
    later: Sequence[int],
    near: Mapping[int, Near],
    worth: Sequence[Sequence[float]] | None,
) -> Group:
    every = [first, *later]
    stays = max(every, key=lambda place: (*worth[place], -place)) if worth is not None else first
    return Group(
        stays,
        first,
        tuple(
            (place, near[place].score if place in near else Fraction(1))
            for place in every
            if place != stays
        ),
    )


def _by_minhash(
    texts: Iterable[Text], likeness: Decimal | Fraction, words: Words
) -> Iterator[tuple[int, Near]]:
    if find_spec("rensa") is None:
        raise UserError(
            "curate.duplicates.minhash_from: rensa is not installed",
            "pip install 'alpaca-pipe[scale]', or leave it out: the exact search needs no more",
        )
    from alpaca_pipe.similarity.minhash import greedy

    for place, nearest, score in greedy(texts, likeness, words):
        yield place, Near(nearest, score)


def _at_once(
    texts: Sequence[Text], likeness: Decimal | Fraction, words: Words
) -> Iterator[tuple[int, Near]]:
    import numpy as np

    from alpaca_pipe.similarity.join import greedy

    found = greedy(texts, likeness, words)
    for place in np.flatnonzero(found.nearest >= 0).tolist():
        yield (
            place,
            Near(
                int(found.nearest[place]),
                Fraction(2 * int(found.common[place]), int(found.total[place])),
            ),
        )


def _one_by_one(
    texts: Sequence[str], likeness: Decimal | Fraction, words: Words
) -> Iterator[tuple[int, Near]]:
    index = Index(likeness, words)
    for place, text in enumerate(texts):
        if near := index.blocked(text):
            yield place, Near(int(near.id), near.score)
        else:
            index.add(str(place), text)


def _pairs_one_by_one(
    texts: Sequence[tuple[str, str]], likeness: Decimal | Fraction, words: Words
) -> Iterator[tuple[int, Near]]:
    """Looked up by the text that differs more from row to row."""
    side = int(len({text[1] for text in texts}) > len({text[0] for text in texts}))
    index = Index(likeness, words)
    for place, text in enumerate(texts):
        best: Near | None = None
        for id, score in index.every(text[side]):
            also = rouge_l(text[1 - side], texts[int(id)][1 - side], words)
            near = Near(int(id), min(score, also))
            if also > likeness and (
                best is None or (near.score, -near.place) > (best.score, -best.place)
            ):
                best = near
        if best:
            yield place, best
        else:
            index.add(str(place), text[side])
