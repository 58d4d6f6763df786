"""Of some texts the nearest other one among many, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from alpaca_pipe.similarity.rouge import floors_below
from alpaca_pipe.similarity.words import SPLIT, Words


def nearest_others(texts: Sequence[str], first: int, words: Words) -> list[Fraction]:
    """ROUGE-L F of each of the first so many texts to the nearest other one of all; 0 where none shares a word with it."""
    import numpy as np

    from alpaca_pipe.similarity import kernels
    from alpaca_pipe.similarity.token_arrays import shelved, table_of

    table = table_of([SPLIT[words](text) for text in texts])
    arrays = (
        table.tokens,
        table.starts,
        table.ranks,
        *shelved(table, np.diff(table.starts).astype(np.int32)),
    )
    others = np.ones(len(table), np.bool_)
    slots, best = np.full(len(table.numbers) + 1, -1, np.int32), np.zeros(3, np.int64)
    # at F = 1 another text with the very same words is as near as can be, which no floor lies below
    floors = [Fraction(99, 100), *floors_below(Fraction(99, 100))[1:]]
    limits = np.array([(floor.numerator, floor.denominator) for floor in floors], np.int64)
    scores: list[Fraction] = []
    for row in range(first):
        begin, end = table.starts[row], table.starts[row + 1]
        others[row] = False
        kernels.nearest(
            table.tokens[begin:end], table.ranks[begin:end], limits, *arrays, others, slots, best
        )
        others[row] = True
        scores.append(Fraction(2 * int(best[1]), int(best[2])) if best[0] >= 0 else Fraction(0))
    return scores
