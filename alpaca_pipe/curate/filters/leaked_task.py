"""Outputs that go on with the next task."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.detectors.next_task import leaked_header
from alpaca_pipe.curate.filters.base import row_filter, shortened


@row_filter(order=100)
def leaked_task(example: Example) -> str | None:
    """The output goes on with the next task of the reply, or with the next turn of a talk."""
    header = leaked_header(example)
    return f"the output holds the next task: '{shortened(header)}'" if header else None
