"""Texts of a row that only say another of its texts again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import copies
else:
    copies = lazy_module("alpaca_pipe.curate.detectors.copies")


@row_filter(order=120)
def output_is_input(example: Example) -> str | None:
    """The output is an exact copy of the input, and neither copying it nor leaving it unchanged can be the answer."""
    return "the output is the input again" if copies.only_copied(example) else None


@row_filter(order=130)
def output_is_instruction(example: Example) -> str | None:
    """The output repeats the instruction."""
    same = example.output.strip() == example.instruction.strip()
    return "the output is the instruction again" if same else None


@row_filter(order=140)
def instruction_in_input(example: Example) -> str | None:
    """The input says the whole instruction again."""
    return (
        "the input holds the instruction again"
        if copies.says_again(example.input, example.instruction)
        else None
    )
