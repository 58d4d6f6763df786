"""Computations that come out wrong."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.detectors.arithmetic import slip
from alpaca_pipe.curate.filters.base import row_filter


@row_filter(order=220)
def wrong_arithmetic(example: Example) -> str | None:
    """A computation that was asked for, or that the output writes down, and that comes out wrong by exact arithmetic."""
    found = slip(example)
    return str(found) if found else None
