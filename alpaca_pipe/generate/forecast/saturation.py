"""How fewer instructions are new as the pool grows: by and by, since all tasks resemble each other a little, and to an end where
few seeds or passages hold only so many ideas."""

from __future__ import annotations

from math import exp, sqrt

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.generate.stop_rules import STALL_ROUNDS, STALL_SEATS

ENDLESS = 1e12
_LEAST = 1e-9
# Gauss and Legendre's points and weights on [0, 1], for the integral over the growing pool.
_POINTS = (
    0.019855071751232,
    0.101666761293187,
    0.237233795041836,
    0.408282678752175,
    0.591717321247825,
    0.762766204958164,
    0.898333238706813,
    0.980144928248768,
)
_WEIGHTS = (
    0.050614268145188,
    0.111190517226687,
    0.156853322938944,
    0.181341891689181,
    0.181341891689181,
    0.156853322938944,
    0.111190517226687,
    0.050614268145188,
)


@dataclass(frozen=True)
class Saturation:
    """Of one teacher. hazard, bend: as in Prior.  ideas: that it has; skew: how uneven they come (1: all as often; above it
    the last ones are rare); reworded: share of repeated ideas whose new words pass as new,
    at first.  known: instructions in the pool
    that are not its own.  passages: that are shown in turn, each a first time before any is shown again; 0 for none."""

    hazard: float
    bend: float
    ideas: float = ENDLESS
    skew: float = 1.0
    reworded: float = 0.0
    known: int = 0
    passages: int = 0

    def fresh(self, pool: float) -> float:
        """The share of readable pieces that are new beside a pool of so many."""
        resembles = exp(-min(self.hazard * (pool / 1000) ** self.bend, 20.0)) if pool > 0 else 1.0
        used = max(pool - self.known, 0.0) / self.ideas
        unused = (1 - used) ** self.skew if used < 1 else 0.0
        reworded = self.reworded * exp(-min(used, 20.0))  # words run out too
        share = resembles * (reworded + (1 - self.reworded) * unused)
        return max(_LEAST, share)

    def seats(self, most: float, begin: float, end: float) -> float:
        """Seats until the pool has grown from begin to end, of which each brings `most` pieces: the integral of 1 / (new
        instructions a seat), in parts over which that does not change much."""
        total = 0.0
        while begin < end:
            left = self.known + self.ideas - begin
            until = end if left <= 0 else min(end, begin + left / 2)
            if end < self.known + self.ideas / 4 or until - begin < (end - begin) / 1000:
                until = end
            wide = until - begin
            total += wide * sum(
                weight / self.fresh(begin + point * wide)
                for point, weight in zip(_POINTS, _WEIGHTS, strict=True)
            )
            begin = until
        return total / most

    def full(
        self, most: float, begin: float, end: float, round_size: int, luck: float = 0.0
    ) -> float | None:
        """The pool between begin and end at which so few new rows come that the run stops; None where it does not.

        most: rows a seat, if all were new.  luck: in standard deviations. Where few seats make the stall's rounds, chance ends
        it sooner."""
        sooner = max(1 + luck, 0.0) * sqrt(STALL_SEATS / (STALL_ROUNDS * round_size))
        least = (1 + sooner) / STALL_SEATS / most
        if self.fresh(end) > least:
            return None
        low, high = begin, end
        for _ in range(40):
            middle = sqrt(low * high) if low > 1 else (low + high) / 2
            low, high = (middle, high) if self.fresh(middle) > least else (low, middle)
        return low
