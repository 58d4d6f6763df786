"""The control: the same rows, each with the answer of another one. What a tune on it gains is form, not content."""

from __future__ import annotations

import random
from collections.abc import Sequence

from alpaca_pipe.core.example import Example, Origin


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """Every row gets another row's answer (one cycle through all of them, drawn by the seed). Needs two rows."""
    order = list(range(len(examples)))
    random.Random(f"control {seed}").shuffle(order)
    answers = {place: examples[order[(turn + 1) % len(order)]].output for turn, place in enumerate(order)}
    return [Example.of(example.instruction, example.input, answers[place],
                       Origin(example.origin.kind, "shuffled", (example.id,)), example.system)
            for place, example in enumerate(examples)]
