"""The control: the same instructions and the same answers, but each answer belongs to another instruction."""

from __future__ import annotations

import random
from collections.abc import Sequence

from alpaca_pipe.models.loss_mask import Encoded, joined


def derangement(count: int, seed: int) -> list[int]:
    """A permutation in which nothing stays in place: one cycle through all (Sattolo 1986). count must be 2 or more."""
    if count < 2:
        raise ValueError("a single row cannot be exchanged with another")
    order = list(range(count))
    draw = random.Random(f"control {seed}")
    for last in range(count - 1, 0, -1):
        other = draw.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order


def shuffled(rows: Sequence[Encoded], seed: int) -> list[Encoded]:
    """Row i keeps its prompt and gets the answer of row derangement[i].

    The tokens of all rows together stay the same; a single row may be longer than any was before.
    """
    starts = [row.mask.index(True) for row in rows]
    return [
        joined(row.ids[:start], rows[other].ids[starts[other] :])
        for row, start, other in zip(rows, starts, derangement(len(rows), seed), strict=True)
    ]
