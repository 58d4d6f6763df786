"""Exact ROUGE-L over many texts at once: the greedy pass of rouge.py in bulk, the same rows out.

A pair can only be near if its LCS reaches `need`; the words that two texts share, each as often as both have it, bound
the LCS from above. So, with the words of each text ordered from rare to common, the first word that a near pair shares
stands early in both texts (prefix and position filter: Xiao et al., PPJoin, 2008). A fingerprint of each bag of words
bounds the rest (bitmap filter: Sandes et al., 2020); what is left is compared by a bit-parallel LCS (Hyyrö, 2004).
The loops are compiled by Numba: similarity/kernels.py. On 2 cores the released 52K take 0.5 s, a million rows (halves of
real ones put together) 30 s and 1.8 GB; compiling takes 15 s, once a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from alpaca_pipe.similarity.words import SPLIT, Text, Words

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class JoinResult:
    """For each row the kept row before it that is nearest (the first of several), or -1 where none is nearer than the
    likeness, and its exact F as 2 common / total. shape (rows,)."""

    nearest: np.ndarray  # int32
    common: np.ndarray  # int32, LCS in words
    total: np.ndarray  # int32, words of both


def greedy(
    texts: Sequence[Text],
    likeness: Decimal | Fraction,
    words: Words,
    gone: np.ndarray | None = None,
) -> JoinResult:
    """The pass in row order: a row stays if no kept row before it has an F above the likeness, strictly. gone: rows that do
    not stay in any case, shape (rows,)."""
    import numpy as np

    rows, also = _split(texts, words)
    seen: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
    first = np.array(
        [
            seen.setdefault((tuple(row), tuple(also[place]) if also else ()), place)
            for place, row in enumerate(rows)
        ],
        np.int32,
    )
    return _greedy(
        rows,
        also,
        0,
        first,
        gone if gone is not None else np.zeros(len(rows), np.bool_),
        Fraction(likeness),
    )


def across(
    kept: Sequence[Text], texts: Sequence[Text], likeness: Decimal | Fraction, words: Words
) -> JoinResult:
    """For each of `texts` the nearest of `kept` above the likeness; the texts are not held against each other."""
    import numpy as np

    rows, also = _split((*kept, *texts), words)
    places = np.arange(len(rows), dtype=np.int32)
    found = _greedy(rows, also, len(kept), places, places >= len(kept), Fraction(likeness))
    return JoinResult(
        found.nearest[len(kept) :], found.common[len(kept) :], found.total[len(kept) :]
    )


def _split(texts: Sequence[Text], words: Words) -> tuple[list[list[str]], list[list[str]]]:
    """The words of each row, and of its second text ([] where rows have one). Of two texts the one that differs more from
    row to row is looked up by, for it has fewer rows that are near."""
    split = SPLIT[words]
    if not texts or isinstance(texts[0], str):
        return [split(text) for text in texts if isinstance(text, str)], []
    one, two = ([split(row[side]) for row in texts] for side in (0, 1))
    return (one, two) if _different(one) > _different(two) else (two, one)


def _different(rows: Sequence[Sequence[str]]) -> int:
    return len({tuple(row) for row in rows})


def _greedy(
    rows: Sequence[Sequence[str]],
    also: Sequence[Sequence[str]],
    given: int,
    first: np.ndarray,
    hidden: np.ndarray,
    likeness: Fraction,
) -> JoinResult:
    import numpy as np

    from alpaca_pipe.similarity import kernels
    from alpaca_pipe.similarity.token_arrays import numbered

    met = JoinResult(
        np.full(len(rows), -1, np.int32),
        np.zeros(len(rows), np.int32),
        np.zeros(len(rows), np.int32),
    )
    if any(rows):
        kernels.greedy(
            given,
            first,
            *_arrays(rows, first, likeness, True, hidden),
            *(numbered(also) if also else (np.zeros(0, np.int32), np.zeros(0, np.int64))),
            met.nearest,
            met.common,
            met.total,
        )
    return met


def pairs(texts: Sequence[str], likeness: Decimal | Fraction, words: Words) -> np.ndarray:
    """Every pair with an F of at least the likeness, shape (pairs, 4): later row, earlier row, LCS, words of both."""
    import numpy as np

    from alpaca_pipe.similarity import kernels

    rows = [SPLIT[words](text) for text in texts]
    if not any(rows):
        return np.zeros((0, 4), np.int32)
    arrays = _arrays(
        rows,
        np.arange(len(rows), dtype=np.int32),
        Fraction(likeness),
        False,
        np.zeros(len(rows), np.bool_),
    )
    counts = np.zeros(len(rows), np.int64)
    kernels.count(*arrays, counts)
    found = np.zeros((counts.sum(), 4), np.int32)
    kernels.emit(*arrays, np.concatenate([[0], np.cumsum(counts)]), found)
    return found


def _arrays(
    rows: Sequence[Sequence[str]],
    first: np.ndarray,
    likeness: Fraction,
    strict: bool,
    hidden: np.ndarray,
) -> tuple[Any, ...]:
    """What the kernels take, in their order. first: of each row the first one with the very same words; only that one is
    looked up by others, and only where it is not hidden."""
    from alpaca_pipe.similarity import kernels
    from alpaca_pipe.similarity.token_arrays import shelved, table_of

    num, den = likeness.numerator, likeness.denominator
    table = table_of(rows)
    ends = kernels.prefixes(table.starts, first, num, den, strict)
    ends[hidden] = 0
    return (
        table.tokens,
        table.starts,
        table.ranks,
        table.prints,
        *shelved(table, ends),
        num,
        den,
        strict,
    )
