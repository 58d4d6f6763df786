"""The win rate that would be seen if both answers were equally long; and where the judgements cannot say it.

After Dubois et al. 2024 (arXiv:2404.04475): a logistic curve of the score over quality + weight * tanh(difference of lengths / its
standard deviation), read at difference 0. Such a curve has a best fit only where wins and losses overlap in length (Albert and
Anderson 1984, Biometrika 71:1-10): elsewhere what is read at 0 is what was held likely before, and no finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.evaluate.bootstrap import Interval, draws
from alpaca_pipe.evaluate.proportions import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RESAMPLES = 400
# Standard deviations of what is held likely before: quality, weight of length.
_SPREAD = (1.0, 1000.0)


class EqualLength(NamedTuple):
    """rate: None where it cannot be known; says: why, or "". Both where length alone tells every choice: then 0 to 1."""

    rate: Interval | None
    says: str = ""


def at_equal_length(
    scores: Sequence[float], apart: Sequence[int], of: NDArray[np.int64], seed: int
) -> EqualLength:
    """scores: 0 to 1 of each pair, one at least; apart: characters that the tuned answer is longer; of: the number of its
    prompt. The interval is 95 %, the bootstrap's over prompts, and at least Wilson's of that rate."""
    if not any(apart):
        mean, prompts = sum(scores) / len(scores), int(of.max()) + 1
        return EqualLength(wilson(mean * prompts, prompts))
    if says := _unknown(scores, apart):
        return EqualLength(None, says)
    if _parted(scores, apart):
        return EqualLength(Interval(0.5, 0.0, 1.0), "length alone tells every choice")
    return EqualLength(_read_off(scores, apart, of, seed))


def _unknown(scores: Sequence[float], apart: Sequence[int]) -> str:
    if max(apart) <= 0 or min(apart) >= 0:
        return f"the tuned answer was never the {'longer' if max(apart) <= 0 else 'shorter'} one"
    if min(scores) == 1 or max(scores) == 0:
        return f"every pair was {'won' if min(scores) == 1 else 'lost'}, whatever its lengths"
    won, lost = _lengths(scores, apart)
    around = min(won) >= 0 >= max(lost) or max(won) <= 0 <= min(lost)
    if _parted(scores, apart) and not around:
        return "one difference of lengths parts all that were won from all that were lost"
    return ""


def _parted(scores: Sequence[float], apart: Sequence[int]) -> bool:
    won, lost = _lengths(scores, apart)
    return min(won) >= max(lost) or max(won) <= min(lost)


def _lengths(scores: Sequence[float], apart: Sequence[int]) -> tuple[list[int], list[int]]:
    """Of what was won, in part at least, and of what was lost."""
    pairs = list(zip(scores, apart, strict=True))
    return [x for score, x in pairs if score > 0], [x for score, x in pairs if score < 1]


def _read_off(
    scores_: Sequence[float], apart_: Sequence[int], of: NDArray[np.int64], seed: int
) -> Interval:
    import numpy as np

    scores, apart = np.array(scores_, dtype=float), np.array(apart_, dtype=float)
    columns = np.stack([np.ones_like(apart), np.tanh(apart / apart.std())], axis=1)
    whole = _fitted(scores, columns, np.ones_like(scores), np.zeros(2))

    def drawn_rate(drawn: NDArray[np.int64]) -> float:
        times = np.bincount(drawn, minlength=int(of.max()) + 1)[of].astype(float)
        return _rate(_fitted(scores, columns, times, whole))

    found = [
        drawn_rate(drawn) for some in draws(int(of.max()) + 1, _RESAMPLES, seed) for drawn in some
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    rate, prompts = _rate(whole), int(of.max()) + 1
    least = wilson(rate * prompts, prompts)
    return Interval(rate, min(float(low), least.lo), max(float(high), least.hi))


def _rate(fitted: NDArray[np.float64]) -> float:
    return 1 / (1 + math.exp(-float(fitted[0])))


def _fitted(
    scores: NDArray[np.float64],
    columns: NDArray[np.float64],
    weights: NDArray[np.float64],
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(quality, weight of length): Newton's method on a concave function, with halved steps where a whole one overshoots."""
    import numpy as np

    prior = np.array([1 / spread**2 for spread in _SPREAD])

    def likely(at: NDArray[np.float64]) -> float:
        logits = columns @ at
        told = weights @ (scores * logits - np.logaddexp(0, logits))
        return float(told - at @ (prior * at) / 2)

    at, now = start, likely(start)
    for _ in range(100):
        chance = 0.5 * (1 + np.tanh(columns @ at / 2))
        slope = columns.T @ (weights * (scores - chance)) - prior * at
        bend = (columns * (weights * chance * (1 - chance))[:, None]).T @ columns
        step = np.linalg.solve(bend + np.diag(prior), slope)
        while (then := likely(at + step)) < now and np.abs(step).max() > 1e-9:
            step = step / 2
        at, now = at + step, then
        if np.abs(step).max() < 1e-7:
            break
    return at
