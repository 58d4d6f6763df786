"""The ways of asking, one file each."""

from __future__ import annotations

from alpaca_pipe.generate.numbered import Bugs
from alpaca_pipe.generate.style import Style
from alpaca_pipe.generate.styles.alpaca import Alpaca
from alpaca_pipe.generate.styles.alpaca_2023 import Alpaca2023
from alpaca_pipe.generate.styles.two_step import TwoStep

_FAITHFUL = Bugs()


def style_of(name: str, *, tasks: int, max_tokens: int, temperature: float | None, takes: frozenset[str],
             bugs: Bugs = _FAITHFUL, gpt3: bool = False) -> Style:
    """A style by its name in the recipe, for a teacher that takes these decoding fields. gpt3: it spells with GPT-3's
    tokens."""
    if name == "two-step":
        return TwoStep(max_tokens, temperature, takes)
    if name == "alpaca-2023":
        return Alpaca2023(max_tokens, temperature, takes, bugs, gpt3)
    return Alpaca(tasks, max_tokens, temperature, takes)
