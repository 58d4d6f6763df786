"""Duplicates: instructions that were told before, by exact ROUGE-L, in row order; the first of them stays."""

from __future__ import annotations

from decimal import Decimal

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.similarity.rouge import Index
from alpaca_pipe.similarity.words import Words

RULE = "likeness"


class Told:
    """The rows that were kept so far."""

    def __init__(self, likeness: Decimal, words: Words) -> None:
        self._likeness = likeness
        self._index = Index(likeness, words)

    def before(self, example: Example) -> Rejected | None:
        """The nearest kept row as an objection, if its instruction is more alike than wanted; else keeps the row."""
        near = self._index.blocked(example.instruction)
        if near is None:
            self._index.add(example.id, example.instruction)
            return None
        reason = f"{float(near.score):.3f} like an instruction that was kept, at most {self._likeness} wanted"
        return Rejected(example, RULE, reason, nearest=near.id)
