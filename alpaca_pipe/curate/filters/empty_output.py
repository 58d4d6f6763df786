"""Texts that say nothing, or nothing where something should stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import placeholders
else:
    placeholders = lazy_module("alpaca_pipe.curate.detectors.placeholders")


@row_filter(order=70)
def empty_output(example: Example) -> str | None:
    """The output is empty, or says only that there is none."""
    if not example.output.strip():
        return "the output is empty"
    spelled = placeholders.is_no_output(example.output)
    return f"the output only says '{' '.join(example.output.split())}'" if spelled else None


@row_filter(order=104)
def placeholder(example: Example) -> str | None:
    """A `<noinput>` within a text, so that something is missing there."""
    found = placeholders.stray_mark(example)
    return f"the {found[0]} holds '{shortened(found[1])}'" if found else None
