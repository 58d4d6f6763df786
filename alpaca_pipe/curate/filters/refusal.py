"""Outputs that decline the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import refusals
else:
    refusals = lazy_module("alpaca_pipe.curate.detectors.refusals")


@row_filter(order=110)
def refusal(example: Example) -> str | None:
    """The output declines the task. Strict: apologies and excuses that were asked for stay."""
    words = refusals.declined(example)
    return f"the output declines: '{shortened(words)}'" if words else None
