"""Room for rows that were not drawn: where the rows at hand lean to one side, those of the tail that would lean farther are
missing from a few rows, and every interval from them alone is too narrow on that side.

By Cochran's working rule (Sampling Techniques, 2.15) a mean may be taken as normal from 25 times its squared skewness rows on.
Below that the side of the tail gets room, unless so few rows lie on the wrong side of 0 at all that no tail explains it.
Constants: by simulation, `python -m tests.bench.verdict_rates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.evaluate.binomial import at_most

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS, _COCHRAN = 16, 25
_FARTHEST, _FEW = 6.0, 32  # times skewness and farthest row; below so many rows the more
_ABOVE_MEAN = 0.2266  # of a log-normal of sigma 1.5, the heaviest tail that is guarded against
_BY_CHANCE = 0.02

LEAST = 12  # rows; fewer show too little of a tail
UNSEEN = 2.0  # a row not seen, times the farthest one that was
_SURE, _POWER = 1.97, 1.0  # an interval of 95 %, five times in six: four in five are promised
_MORE, _UNSEEN_TAIL = 2.0, 11.0
_MOST_ROWS = 100_000


def tail_room(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """(below, above): how much farther the interval of the ratio sum(sums) / sum(weights) has to reach on each side: to the
    farthest row at most, and to 0.

    sums: of each row, a difference that is 0 where nothing is better; weights: its tokens.
    """
    total = float(weights.sum())
    ratio = float(sums.sum()) / total
    apart, rates = sums - ratio * weights, sums / weights
    return (
        min(_room(-apart, -sums) / total, ratio - min(float(rates.min()), 0.0)),
        min(_room(apart, sums) / total, max(float(rates.max()), 0.0) - ratio),
    )


def _room(apart: NDArray[np.float64], sums: NDArray[np.float64]) -> float:
    """Above. A row on the wrong side is one that is not below 0."""
    rows, spread = len(apart), float((apart**2).mean()) ** 0.5
    if not spread > 0:
        return 0.0
    skewness = float(((apart / spread) ** 3).mean())
    if skewness <= 0 or rows >= _ROWS + _COCHRAN * skewness**2:
        return 0.0
    # so few on the wrong side, where the mean is 0 and the tail is the heaviest
    if at_most(int((sums >= 0).sum()), rows, _ABOVE_MEAN) <= _BY_CHANCE:
        return 0.0
    return _FARTHEST * max(1.0, (_FEW / rows) ** 3) * skewness * float(apart.max())


def rows_to_show(
    sums: NDArray[np.float64], weights: NDArray[np.float64], effect: float
) -> int | None:
    """How many rows like these show a difference of `effect` four times in five; None: more than anybody has.

    effect: nats a token. Planned with spread, skewness and farthest row of those at hand, all larger than they are, the more so
    the fewer and the more skewed they are: few rows show too little of each, and nobody can tell from two dozen that they have
    no tail. By simulation the rows so stated show the difference in at least 4 draws of 5 on average, on all tails of
    `verdict_rates`, said by 24, 64 or 200 rows.
    """
    rows, total = len(sums), float(weights.sum())
    apart = sums - float(sums.sum()) / total * weights
    spread = float((apart**2).mean()) ** 0.5
    if not (spread > 0 and effect > 0 and rows > 1):
        return rows if spread == 0 else None
    farthest = _MORE * float(abs(apart).max()) / spread
    seen = abs(float(((apart / spread) ** 3).mean()))
    wider = 1 + (1 + seen / 2.5) / rows**0.5
    size = effect * total / rows / spread / wider  # in standard deviations of a row
    chance = (6 / rows) ** 0.5  # standard error of the skewness of rows without a tail
    skewness = (1 + _UNSEEN_TAIL / rows**0.5) * (seen + 2 * chance)
    needed = float(LEAST)
    while needed < _MOST_ROWS:
        shown = needed >= _ROWS + _COCHRAN * skewness**2
        room = 0.0 if shown else _FARTHEST * max(1.0, (_FEW / needed) ** 3) * skewness
        leaning = (
            skewness * (2 * _SURE**2 + 1) / 6
        )  # Johnson 1978: what skewness does to Student's t
        wanted = _SURE + _POWER + ((UNSEEN + room) * farthest + leaning) / needed**0.5
        if size * needed**0.5 >= wanted:
            return round(needed)
        needed *= 1.01
    return None
