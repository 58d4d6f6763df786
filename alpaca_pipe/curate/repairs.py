"""The repairs: each one function that answers with the row's texts as they should be, or None; what cannot be mended
safely is left to the filters. A mended row is a new row, with its parent's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.thinking import answer_of
from alpaca_pipe.curate.detectors.invisible import cleaned
from alpaca_pipe.curate.detectors.text_patterns import (
    FIELDS,
    before_next_task,
    is_no_input,
    without_instruction,
)

Texts = Mapping[str, str]  # field -> its text from now on


def invisible(example: Example) -> Texts | None:
    """Control characters, and characters without width where their script does not need them, are taken out."""
    return {
        name: text
        for name in FIELDS
        if (text := cleaned(before := getattr(example, name))) != before
    } or None


def thinking(example: Example) -> Texts | None:
    """An output loses the part named thinking before it, and what a mark of a chat template ends."""
    answer = answer_of(example.output)
    return {"output": answer} if answer and answer != example.output else None


def no_input(example: Example) -> Texts | None:
    """An input that only says that there is none ("No input", "N/A") becomes empty."""
    return {"input": ""} if is_no_input(example.input) else None


def instruction_again(example: Example) -> Texts | None:
    """An input that begins with the whole instruction loses it."""
    rest = without_instruction(example)
    return None if rest is None else {"input": rest}


def next_task(example: Example) -> Texts | None:
    """An output that goes on with the next task of the reply ends before it."""
    kept = before_next_task(example)
    return {"output": kept} if kept else None


ALL: tuple[Callable[[Example], Texts | None], ...] = (
    invisible,
    thinking,
    no_input,
    instruction_again,
    next_task,
)


def mended(example: Example) -> Example | None:
    """The row after all repairs, its origin naming them in order; None: it needs none."""
    row, rules = example, list[str]()
    for repair in ALL:
        if texts := repair(row):
            row = Example.of(
                **({name: getattr(row, name) for name in FIELDS} | {**texts}), origin=row.origin
            )
            rules.append(repair.__name__)
    if not rules:
        return None
    details = {**example.origin.details, "repair": ", ".join(rules)}
    origin = replace(example.origin, parents=(example.id,), details=details)
    return replace(row, origin=origin)


def repaired(examples: Iterable[Example]) -> Iterator[tuple[Example, Example | None]]:
    """(row, what it was before): the second is None where nothing was repaired. Ids come out unique."""
    taken: set[str] = set()
    for example in examples:
        row = mended(example)
        free = row or example
        name = free_id(free.id, taken)
        yield free if name == free.id else replace(free, id=name), example if row else None


def free_id(id: str, taken: set[str]) -> str:
    """The same id, and takes it; where it is taken, `id#2`, `id#3` ..."""
    count, name = 1, id
    while name in taken:
        count += 1
        name = f"{id}#{count}"
    taken.add(name)
    return name
