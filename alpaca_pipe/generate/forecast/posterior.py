"""What a teacher may be like after it was heard: many imagined teachers, each one draw of every figure.

A figure that was observed pulls the imagined ones to itself, the harder the more of it was seen: 20 replies narrow what
is believed, 2,000 decide it (normal prior and likelihood, on a scale where that fits: logarithms, log-odds).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import accumulate
from math import exp, hypot, log, log1p, sqrt
from random import Random
from statistics import fmean, pstdev
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.generate.forecast.saturation import Saturation
from alpaca_pipe.generate.prior import RoundVariation
from alpaca_pipe.generate.round_stats import RoundStats

# How far a figure moves between runs of the same prompts (standard deviation of its logarithm), and the pace: another day's
# load.
DRIFT_BETWEEN, HASTE_BETWEEN = 0.05, 0.25


@dataclass(frozen=True)
class ImaginedTeacher:
    """Teachers that may be the one we ask: the i-th item of every list is of the i-th of them. Tokens and seconds are
    means for one request; `pieces` for one seat."""

    in_first: list[float]
    in_answer: list[float]
    out_first: list[float]
    out_answer: list[float]
    pieces: list[float]
    readable: list[float]
    finished: list[float]
    saturation: list[Saturation]
    lost: list[float]
    seconds: list[float]

    def learned(
        self,
        seen: Sequence[RoundStats],
        asked: int,
        swing: RoundVariation,
        drift: float,
        haste: float,
        doubt: float = 1.0,
    ) -> ImaginedTeacher:
        """The same teachers after what was seen of the real one, round by round.

        asked: tasks in a seat.  drift: how far a figure may move between then and now (standard deviation of its
        logarithm).  haste: the same for the pace.  doubt: how much less than usual is concluded from what was near a
        known instruction, where it misled already.
        """
        whole = sum(seen, RoundStats())
        changed: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}

        def mean(name: str, total: float, squares: float, count: int, swings: float = 0.0) -> None:
            if count and total:
                error = sqrt(max(squares / count - (total / count) ** 2, 0) / count) / (
                    total / count
                )
                few = 1 + 2 / count  # a handful says little of its own spread
                error = few * hypot(error, 0.3 / count, drift, swings / sqrt(len(seen)))
                changed[name] = _pulled(changed[name], log(total / count), error, log, exp)

        def share(name: str, hits: int, of: int) -> None:
            if of:
                changed[name] = _judged(changed[name], min(hits, of), of, drift)

        mean("in_first", whole.in_first, whole.in_first_squares, whole.seats, swing.ins)
        mean("in_answer", whole.in_answers, whole.in_answers_squares, whole.answers, swing.ins)
        mean("out_first", whole.out_first, whole.out_first_squares, whole.seats, swing.out)
        mean(
            "out_answer",
            whole.out_answers,
            whole.out_answers_squares,
            whole.answers,
            swing.out_answer,
        )
        mean(
            "pieces", whole.pieces, whole.pieces * asked, whole.seats
        )  # at most as uneven as all or nothing
        share("readable", whole.near + whole.new, whole.pieces)
        share("finished", whole.accepted, whole.answers)
        if whole.timed:
            changed["seconds"] = _pulled(
                changed["seconds"], log(whole.seconds / whole.timed), haste, log, exp
            )
        if whole.near + whole.new:
            from alpaca_pipe.generate.forecast.novelty_learned import learned

            changed["saturation"] = learned(self.saturation, seen, doubt)
        if whole.attempts:
            changed["lost"] = _lost(self.lost, whole, Random("lost"))
        return ImaginedTeacher(**changed)


_TOGETHER = (
    2.0  # pieces of one reply fail together: their counts say half as much as so many coins would
)


def _pulled(
    draws: list[float],
    observed: float,
    error: float,
    to: Callable[[float], float],
    back: Callable[[float], float],
) -> list[float]:
    """Draws of a figure after it was observed, on the scale of `to`: shifted and narrowed, their shape kept."""
    scaled = [to(draw) for draw in draws]
    middle, spread = fmean(scaled), pstdev(scaled)
    if spread == 0:
        return draws
    weight = spread**2 / (spread**2 + error**2)
    centre, narrower = middle + weight * (observed - middle), sqrt(1 - weight)
    return [back(centre + narrower * (value - middle)) for value in scaled]


def _judged(draws: list[float], hits: int, of: int, drift: float) -> list[float]:
    """Draws of a share after so many hits: normal log-odds before, coins (that fall together) seen, on a grid; each draw
    keeps its rank, and so what it has to do with the other figures."""
    before = [_odds(draw) for draw in draws]
    middle, spread = fmean(before), max(pstdev(before), 1e-6)
    seen = _odds((hits + 0.5) / (of + 1))
    low, high = min(middle, seen) - 4 * spread, max(middle, seen) + 4 * spread
    points = [low + (high - low) * (i + 0.5) / _POINTS for i in range(_POINTS)]
    sure = 1 / (_TOGETHER * (1 + of * drift**2))
    found = [
        sure * (hits * point - of * log1p(exp(point))) - ((point - middle) / spread) ** 2 / 2
        for point in points
    ]
    best = max(found)
    summed = list(accumulate(exp(value - best) for value in found))
    after = [0.0] * len(draws)
    for rank, place in enumerate(sorted(range(len(draws)), key=draws.__getitem__)):
        after[place] = _share(
            points[min(bisect(summed, (rank + 0.5) / len(draws) * summed[-1]), _POINTS - 1)]
        )
    return after


_POINTS = 400


def _odds(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return log(share / (1 - share))


def _share(odds: float) -> float:
    return 1 / (1 + exp(-odds))


def _lost(rates: list[float], whole: RoundStats, chance: Random) -> list[float]:
    """Rates of lost attempts (gamma prior, counts that come in bursts) after so many."""
    burst = 4.0
    mean = max(fmean(rates), 1e-4)
    shape, rate = 0.5 + whole.lost / burst, 0.5 / mean + whole.attempts / burst
    return [chance.gammavariate(shape, 1 / rate) for _ in rates]
