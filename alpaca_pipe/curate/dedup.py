"""Duplicates: rows that were told before, by exact ROUGE-L, greedily in row order; in groups, of which one row stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import Protocol

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.config import On
from alpaca_pipe.similarity.rouge import Index
from alpaca_pipe.similarity.words import Words

RULE = "likeness"
_BULK_FROM = (
    20_000  # rows: below, loading Numba (1 s, and 15 s once a machine) costs more than it saves
)


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


class TextsElsewhere(Protocol):
    """Texts that do not lie in this process (`ray_backend`), and are compared where they lie."""

    def append(self, text: str) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def met(self, likeness: Decimal | Fraction, words: Words) -> Mapping[int, Near]:
        """As the function below."""


def text_of(example: Example, on: On) -> str:
    """What is compared: of a conversation all that its users asked."""
    if example.messages:
        return example.asked
    return (
        example.instruction
        if on == "instruction" or not example.input
        else f"{example.instruction}\n{example.input}"
    )


def met(
    texts: Sequence[str] | TextsElsewhere,
    likeness: Decimal | Fraction,
    words: Words,
    bulk_from: int = _BULK_FROM,
    minhash_from: int | None = None,
) -> Mapping[int, Near]:
    """The texts, by place, that have a nearest one above the likeness among those before them that stayed. The greedy pass in
    row order: compiled and all at once from `bulk_from` texts on where Numba is there, else one by one, or block by block
    where the texts lie in Ray; the same answer. From `minhash_from` texts on by MinHash, which misses a few."""
    if minhash_from is not None and len(texts) >= minhash_from:
        return dict(_by_minhash(texts, likeness, words))
    if not isinstance(texts, Sequence):
        return texts.met(likeness, words)
    if len(texts) >= bulk_from and find_spec("numba") is not None:
        return dict(_at_once(texts, likeness, words))
    return dict(_one_by_one(texts, likeness, words))


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
    texts: Iterable[str], likeness: Decimal | Fraction, words: Words
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
    texts: Sequence[str], likeness: Decimal | Fraction, words: Words
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
