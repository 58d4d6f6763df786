"""Every row against all rows before it: the likest ones and the mean F, as Stanford's working file keeps them.

All pairs are compared, those of several short rows at once; four times the rows take sixteen times as long. Speed:
docs/measured.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from alpaca_pipe.similarity.words import SPLIT, Words

if TYPE_CHECKING:
    import numpy as np

BEST = 10
_PAIRS_A_PART = 50_000_000


@dataclass(frozen=True)
class MostSimilar:
    """nearest, scores: shape (rows, 10), the likest first, of equals the later; -1 where there are fewer rows before.
    means: shape (rows,), F with all rows before, 0 for the first.  wordless: rows without any word."""

    nearest: np.ndarray  # int32
    scores: np.ndarray  # float64
    means: np.ndarray  # float64
    wordless: np.ndarray  # int64, their numbers


def likest(
    texts: Sequence[str],
    words: Words,
    known: Sequence[str] = (),
    tick: Callable[[int], None] = lambda pairs: None,
) -> MostSimilar:
    """known: texts that stand before the first row, and are numbered before it too. tick: is told how many pairs are compared."""
    import numpy as np

    numbers: dict[str, int] = {}
    rows = [
        [numbers.setdefault(word, len(numbers)) for word in SPLIT[words](text)]
        for text in (*known, *texts)
    ]
    tokens = np.array([number for row in rows for number in row], np.int32)
    starts = np.concatenate(
        [np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)]
    )
    found = MostSimilar(
        np.full((len(texts), BEST), -1, np.int32),
        np.full((len(texts), BEST), -1.0),
        np.zeros(len(texts)),
        np.flatnonzero(np.diff(starts[len(known) :]) == 0),
    )
    for first, end in _parts(len(known), len(rows)):
        _compare(first, end, tokens, starts, len(known), max(len(numbers), 1), found)
        tick(pairs_of(len(known), end))
    return found


def pairs_of(known: int, end: int) -> int:
    """Pairs of the rows from `known` to `end` with all before them."""
    return (end * (end - 1) - known * (known - 1)) // 2


def _parts(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of rows with about as many pairs each: after each of them it is told how far the work is."""
    while begin < end:
        after = min(max(isqrt(begin * begin + 2 * _PAIRS_A_PART), begin + 1), end)
        yield begin, after
        begin = after


def _compare(
    first: int,
    end: int,
    tokens: np.ndarray,
    starts: np.ndarray,
    begin: int,
    words: int,
    found: MostSimilar,
) -> None:
    import numba
    import numpy as np

    from alpaca_pipe.similarity import most_similar_kernels as kernels

    sizes = np.diff(starts[first : end + 1])
    lanes = 2 * numba.get_num_threads()
    given = (tokens, starts, begin, words)
    results = (found.nearest, found.scores, found.means)
    least, longest = 0, int(np.diff(starts).max(initial=0))
    for width in kernels.WIDTHS:
        rows = first + np.flatnonzero((sizes >= least) & (sizes < width))
        batch = kernels.AT_ONCE * 64 // width
        ends = np.append(np.arange(0, len(rows), batch), len(rows))
        table = np.zeros((longest + 1, width, width))
        kernels.f_scores(table)
        kernels.likest_of_short(rows, ends, lanes, width, *given, table, *results)
        least = width
    rows = first + np.flatnonzero(sizes >= least)
    kernels.likest_of_long(rows, lanes, *given, *results)
