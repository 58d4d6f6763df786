"""Computations that come out wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import arithmetic
else:
    arithmetic = lazy_module("alpaca_pipe.curate.detectors.arithmetic")


@row_filter(order=220)
def wrong_arithmetic(example: Example) -> str | None:
    """A computation that was asked for, or that the output writes down, and that comes out wrong by exact arithmetic."""
    found = arithmetic.slip(example)
    return str(found) if found else None
