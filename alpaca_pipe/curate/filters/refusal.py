"""Outputs that decline the task."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.detectors.refusals import declined
from alpaca_pipe.curate.filters.base import row_filter, shortened


@row_filter(order=110)
def refusal(example: Example) -> str | None:
    """The output declines the task. Strict: apologies and excuses that were asked for stay."""
    words = declined(example)
    return f"the output declines: '{shortened(words)}'" if words else None
