"""When a run ends: rows enough, requests or candidates at their limit, or a pool that is full."""

from __future__ import annotations

from alpaca_pipe.core.fast_dataclass import dataclass

# A stall: over so many rounds, fewer than one new row in so many seats. A pool that is full costs money for nothing.
STALL_ROUNDS, STALL_SEATS = 5, 50


@dataclass(frozen=True)
class Limits:
    """count: rows wanted; the last round is kept whole, so there may be more.  max_requests, max_candidates, seats (prompts):
    None for no limit."""

    count: int
    max_requests: int | None = None
    max_candidates: int | None = None
    seats: int | None = None
