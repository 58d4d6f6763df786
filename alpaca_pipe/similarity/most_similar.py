"""Every row against all rows before it: the likest ones and the mean F, as Stanford's working file keeps them.

All pairs are compared, 64 words at once: 13,000 rows (8.5e7 pairs) take 3 seconds of one core, and four times the rows
sixteen times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpaca_pipe.similarity.words import SPLIT, Words

if TYPE_CHECKING:
    import numpy as np

BEST = 10


@dataclass(frozen=True)
class MostSimilar:
    """nearest, scores: shape (rows, 10), the likest first, of equals the later; -1 where there are fewer rows before.
    means: shape (rows,), F with all rows before, 0 for the first.  wordless: rows without any word."""

    nearest: np.ndarray  # int32
    scores: np.ndarray  # float64
    means: np.ndarray  # float64
    wordless: np.ndarray  # int64, their numbers


def likest(texts: Sequence[str], words: Words, known: Sequence[str] = ()) -> MostSimilar:
    """known: texts that stand before the first row, and are numbered before it too."""
    import numpy as np

    from alpaca_pipe.similarity import most_similar_kernels

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
    most_similar_kernels.likest(
        tokens, starts, len(known), max(len(numbers), 1), found.nearest, found.scores, found.means
    )
    return found
