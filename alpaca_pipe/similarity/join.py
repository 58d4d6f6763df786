"""Exact ROUGE-L over many texts at once: the greedy pass of rouge.py in bulk, the same rows out.

A pair can only be near if its LCS reaches `need`; the words that two texts share, each as often as both have it, bound
the LCS from above. So, with the words of each text ordered from rare to common, the first word that a near pair shares
stands early in both texts (prefix and position filter: Xiao et al., PPJoin, 2008). A fingerprint of each bag of words
bounds the rest (bitmap filter: Sandes et al., 2020); what is left is compared by a bit-parallel LCS (Hyyrö, 2004).
The loops are compiled by Numba: similarity/kernels.py. On 2 cores the released 52K take 0.5 s, a million rows (halves of
real ones put together) 30 s and 1.8 GB; compiling takes 11 s, once a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from alpaca_pipe.similarity.words import SPLIT, Words

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Met:
    """For each row the kept row before it that is nearest (the first of several), or -1 where none is nearer than the
    likeness, and its exact F as common / total x 2. shape (rows,)."""

    nearest: np.ndarray  # int32
    common: np.ndarray  # int32, LCS in words
    total: np.ndarray  # int32, words of both


@dataclass(frozen=True)
class _Table:
    """The rows as the kernels want them. A row that repeats an earlier one word for word is not looked up by others."""

    tokens: np.ndarray  # int32, word numbers, rows end to end
    starts: np.ndarray  # int64, (rows + 1,): where each row begins
    first: np.ndarray  # int32: the first row with the very same words
    ranks: np.ndarray  # int32, the words of each row from rare to common; the second `the` is a word of its own
    prints: np.ndarray  # uint64, (rows, 2): fingerprints of the bags


def greedy(texts: Sequence[str], likeness: Decimal | Fraction, words: Words) -> Met:
    """The pass in row order: a row stays if no kept row before it has an F above the likeness, strictly.

    Exact, whatever the number of cores; about 30 MB and 0.1 s a 50,000 rows besides the comparing.
    """
    import numpy as np

    from alpaca_pipe.similarity import kernels

    likeness = Fraction(likeness)
    table = _table([SPLIT[words](text) for text in texts])
    rows = len(table.starts) - 1
    met = Met(np.full(rows, -1, np.int32), np.zeros(rows, np.int32), np.zeros(rows, np.int32))
    if len(table.tokens):
        kernels.greedy(*_arrays(table, likeness, strict=True), met.nearest, met.common, met.total)
    return met


def pairs(texts: Sequence[str], likeness: Decimal | Fraction, words: Words) -> np.ndarray:
    """Every pair with an F of at least the likeness, shape (pairs, 4): later row, earlier row, LCS, words of both."""
    import numpy as np

    from alpaca_pipe.similarity import kernels

    likeness = Fraction(likeness)
    table = _table([SPLIT[words](text) for text in texts], fold=False)
    if not len(table.tokens):
        return np.zeros((0, 4), np.int32)
    arrays = _arrays(table, likeness, strict=False)
    counts = np.zeros(len(table.starts), np.int64)
    kernels.count(*arrays, counts)
    found = np.zeros((counts.sum(), 4), np.int32)
    kernels.emit(*arrays, np.concatenate([[0], np.cumsum(counts)]), found)
    return found


def _table(rows: Sequence[Sequence[str]], fold: bool = True) -> _Table:
    import numpy as np

    from alpaca_pipe.similarity import kernels

    numbers: dict[str, int] = {}
    seen: dict[tuple[str, ...], int] = {}
    first = np.array([seen.setdefault(tuple(row), place) for place, row in enumerate(rows)] if fold
                     else range(len(rows)), np.int32)
    tokens = np.array([numbers.setdefault(word, len(numbers)) for row in rows for word in row], np.int32)
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    if not len(tokens):
        return _Table(tokens, starts, first, tokens, np.zeros((len(rows), 2), np.uint64))
    occurrences = kernels.occurrences(tokens, starts, len(numbers))
    _, which, counts = np.unique(occurrences, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    ranks = rank[which]
    kernels.sort_rows(ranks, starts)
    return _Table(tokens, starts, first, ranks, kernels.fingerprints(ranks, starts))


def _arrays(table: _Table, likeness: Fraction, strict: bool) -> tuple[Any, ...]:
    """The table, its words looked up by (word, length, row), and the likeness, in the order of the kernels' arguments."""
    import numpy as np

    from alpaca_pipe.similarity import kernels

    num, den = likeness.numerator, likeness.denominator
    ends = kernels.prefixes(table.starts, table.first, num, den, strict)
    word, length, row, place = kernels.postings(table.ranks, table.starts, ends)
    order = np.lexsort((row, length, word))
    word, length, row, place = word[order], length[order], row[order], place[order]
    changes = (word[1:] != word[:-1]) | (length[1:] != length[:-1])
    new = np.flatnonzero(np.concatenate([[True] * (len(word) > 0), changes]))
    shelves = np.concatenate([new, [len(word)]])
    of_word = np.searchsorted(word[new], np.arange(int(table.ranks.max()) + 2))
    return (table.tokens, table.starts, table.first, table.ranks, ends, table.prints,
            row, place, table.prints[row], shelves, length[new], of_word, num, den, strict)
