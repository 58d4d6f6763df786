"""A figure that is not known yet: what it will be at most in one case of ten, in the middle, and in nine of ten."""

from __future__ import annotations

from math import hypot

from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class Range:
    """P10, P50 and P90 of one figure, in whatever unit its name says."""

    p10: float
    p50: float
    p90: float

    @classmethod
    def exactly(cls, value: float) -> Range:
        return cls(value, value, value)

    @classmethod
    def about(cls, value: float, factor: float) -> Range:
        """Between value / factor and value x factor in eight cases of ten."""
        return cls(value / factor, value, value * factor)

    def __add__(self, other: Range) -> Range:
        """Of two figures that do not depend on each other: middles add, distances add as the sides of a right angle."""
        middle = self.p50 + other.p50
        return Range(
            middle - hypot(self.p50 - self.p10, other.p50 - other.p10),
            middle,
            middle + hypot(self.p90 - self.p50, other.p90 - other.p50),
        )

    def times(self, factor: float) -> Range:
        """Each in another unit; `factor` is above zero."""
        return Range(self.p10 * factor, self.p50 * factor, self.p90 * factor)


NOTHING = Range(0, 0, 0)
