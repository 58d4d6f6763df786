from __future__ import annotations

from alpaca_pipe.core.example import Example, Origin


def row(
    instruction: str = "Name the capital of France.", input: str = "", output: str = "Paris."
) -> Example:
    """A row that a teacher made."""
    return Example.of(instruction, input, output, Origin("generated", "r1-0"))


def imported(
    instruction: str = "Name the place, please.", input: str = "", output: str = "It is there."
) -> Example:
    """A row that somebody brought."""
    return Example.of(instruction, input, output, Origin("imported", "mine.json#1"))
