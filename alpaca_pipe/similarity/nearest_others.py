"""Of some texts the nearest other one among many, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from alpaca_pipe.similarity.text_table import TextTable
from alpaca_pipe.similarity.token_arrays import numbered
from alpaca_pipe.similarity.words import SPLIT, Words


def nearest_others(texts: Sequence[str], first: int, words: Words) -> list[Fraction]:
    """ROUGE-L F of each of the first so many texts to the nearest other one of all; 0 where none shares a word with it."""
    table = TextTable(*numbered([SPLIT[words](text) for text in texts]))
    found = (table.nearest(table.row(row), row) for row in range(first))
    return [Fraction(2 * near[1], near[2]) if near else Fraction(0) for near in found]
