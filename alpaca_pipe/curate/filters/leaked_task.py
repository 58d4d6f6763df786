"""Outputs that go on with the next task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import next_task
else:
    next_task = lazy_module("alpaca_pipe.curate.detectors.next_task")


@row_filter(order=100)
def leaked_task(example: Example) -> str | None:
    """The output goes on with the next task of the reply, or with the next turn of a talk."""
    header = next_task.leaked_header(example)
    return f"the output holds the next task: '{shortened(header)}'" if header else None
