"""The smallest difference that counts, of each thing that is measured, in its own unit; and which way a difference points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from alpaca_pipe.evaluate.bootstrap import Interval

Direction = Literal["better", "worse", "no difference", "unsure"]


class DifferenceUnit(NamedTuple):
    """least: what a recipe has where it says nothing; per: how many of `unit` are 1. low_is_good: of a loss."""

    least: float
    unit: str
    per: float = 1
    low_is_good: bool = False

    def said(self, least: float) -> str:
        return f"{least * self.per:g} {self.unit}"


LOSS = DifferenceUnit(0.01, "nats a token", low_is_good=True)  # the right token 1 % likelier
SHARE = DifferenceUnit(0.02, "percentage points", per=100)  # of answers


def direction(difference: Interval, least: float, measure: DifferenceUnit = LOSS) -> Direction:
    """'no difference': the whole interval lies within `least` of 0, or it lies beyond 0 with a difference of less than half of
    `least`. 'unsure': it holds 0 and more than that.

    Not asked is that the difference seen be `least`: a true one of just that size comes out smaller half of the time, whatever
    the rows. Where so many rows are there as show it 4 times in 5, one that is sure is 0.7 of it at least.
    """
    sure = difference.hi < 0 or difference.lo > 0
    within = -least < difference.lo and difference.hi < least
    if within or (sure and abs(difference.mean) < least / 2):
        return "no difference"
    if not sure:
        return "unsure"
    return "better" if (difference.hi < 0) == measure.low_is_good else "worse"
