"""Outputs that say nothing."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters.base import row_filter


@row_filter(order=70)
def empty_output(example: Example) -> str | None:
    """Nothing in the output, or only a word that stands for nothing."""
    from alpaca_pipe.curate.detectors.text_patterns import is_no_output

    if not example.output.strip():
        return "the output is empty"
    spelled = is_no_output(example.output)
    return f"the output only says '{' '.join(example.output.split())}'" if spelled else None
