"""The control: the same instructions and the same answers, but each answer belongs to another instruction."""

from __future__ import annotations

import random
from collections.abc import Sequence

from alpaca_pipe.models.loss_mask import Encoded


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
    """Every prompt stays, and answer i of all rows together becomes answer derangement[i]. A conversation keeps its history
    but for its own learned answers.

    The tokens of all rows together stay the same; a single row may be longer than any was before.
    """
    answers = [row.ids[first:end] for row in rows for first, end in row.spans()]
    others = iter(derangement(len(answers), seed))
    return [_with(row, [answers[next(others)] for _ in row.spans()]) for row in rows]


def _with(row: Encoded, answers: Sequence[Sequence[int]]) -> Encoded:
    """The row with other answers in the places of its own."""
    ids, mask, start = list[int](), list[bool](), 0
    for (first, end), answer in zip(row.spans(), answers, strict=True):
        ids += [*row.ids[start:first], *answer]
        mask += [False] * (first - start) + [True] * len(answer)
        start = end
    rest = row.ids[start:]
    return Encoded((*ids, *rest), (*mask, *[False] * len(rest)))
