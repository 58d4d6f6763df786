"""Rows of the controls: the same answers with nothing preferred, or preferred at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alpaca_pipe.align.preference_ids import LabelledIds, PairIds


def to_swap(names: Sequence[str], seed: int) -> frozenset[str]:
    """Half of the rows, drawn: their chosen and rejected answers are exchanged, so that the order says nothing."""
    return frozenset(random.Random(f"order {seed}").sample(sorted(names), len(names) // 2))


def other_labels(rows: Sequence[LabelledIds], seed: int) -> list[LabelledIds]:
    """The same answers, the same number of good ones, drawn anew which."""
    labels = [row.label for row in rows]
    random.Random(f"labels {seed}").shuffle(labels)
    return [replace(row, label=label) for row, label in zip(rows, labels, strict=True)]


def good_answers(rows: Sequence[Any]) -> list[PairIds]:
    """What SFT learns: the chosen answers, or those with a good label. Their other side is read and not learned."""
    if rows and isinstance(rows[0], PairIds):
        return list(rows)
    return [PairIds(row.id, row.prompt, row.answer, row.answer[-1:]) for row in rows if row.label]
