"""The repairs: a row that says in words what an empty field says becomes a new row, with its parent's id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.defects import is_no_input

RULE = "no_input"


def without_no_input(example: Example) -> Example | None:
    """The row with an empty input where the input only says that there is none ("No input", "N/A"); None: sound."""
    if not is_no_input(example.input):
        return None
    origin = replace(example.origin, parents=(example.id,), details={**example.origin.details, "repair": RULE})
    return Example.of(example.instruction, "", example.output, origin, example.system)


def repaired(examples: Iterable[Example]) -> Iterator[tuple[Example, Example | None]]:
    """(row, what it was before): the second is None where nothing was repaired. Ids come out unique."""
    taken: set[str] = set()
    for example in examples:
        mended = without_no_input(example)
        row = _free(mended or example, taken)
        taken.add(row.id)
        yield row, example if mended else None


def _free(example: Example, taken: set[str]) -> Example:
    """The same row; where its id is taken, as `id#2`, `id#3` ..."""
    count, name = 1, example.id
    while name in taken:
        count += 1
        name = f"{example.id}#{count}"
    return replace(example, id=name)
