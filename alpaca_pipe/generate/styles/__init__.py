"""The ways of asking, one file each."""

from __future__ import annotations

from alpaca_pipe.generate.style import Style
from alpaca_pipe.generate.styles.alpaca import Alpaca
from alpaca_pipe.generate.styles.two_step import TwoStep


def style_of(name: str, *, tasks: int, max_tokens: int, temperature: float | None, takes: frozenset[str]) -> Style:
    """A style by its name in the recipe, for a teacher that takes these decoding fields."""
    if name == "two-step":
        return TwoStep(max_tokens, temperature, takes)
    return Alpaca(tasks, max_tokens, temperature, takes)
