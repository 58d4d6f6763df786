"""How sure a held-out loss, or a difference of two, is: intervals over rows, paired, that hold at 12 rows and on losses with a
tail. Three are known for such ratios, each too narrow somewhere; the widest is taken (figures: docs/measured.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.evaluate.tail import UNSEEN, rows_to_show, tail_room

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 200_000  # drawn row numbers held at once: 1.6 MB, and as much again for each quantity

_NO_ERROR = 1e-9  # of the error of all rows


class Interval(NamedTuple):
    """An estimate with its 95 % interval, in nats per token."""

    mean: float
    lo: float
    hi: float

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 6) for name, value in self._asdict().items()}


def paired(
    nats: Mapping[str, Sequence[float]],
    tokens: Sequence[int],
    tuned: str,
    seed: int,
    resamples: int = 10_000,
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """The mean loss of each model, and the difference `tuned` - other for every other one, with 95 % intervals.

    nats: per model the loss sum of each row; tokens: loss tokens of each row, the same for all models.
    Estimator: a ratio, sum of nats / sum of tokens over the rows, so a token counts the same whichever row it is in.
    Interval: the widest of Student's t on the linearised ratio (Cochran, Sampling Techniques, ch. 6), Efron's percentiles and
    the bootstrap-t (Hall 1988), plus what one row not seen would move the ratio that is twice as far off as the farthest one
    seen: of losses with a tail a few rows show too little; a difference also gets `tail_room`. Rows are drawn with
    replacement, the *same* ones for all models (what a row adds to both models' losses cancels in the difference). Not
    covered: the spread over training seeds.
    """
    import numpy as np

    names = list(nats)
    losses = np.array([nats[name] for name in names], dtype=float)  # models x rows
    at = names.index(tuned)
    quantities = np.concatenate([losses, losses[at] - np.delete(losses, at, axis=0)])
    weights = np.array(tokens, dtype=float)
    found = _intervals(quantities, weights, seed, resamples)
    found[len(names) :] = [
        _with_room(one, *tail_room(sums, weights))
        for one, sums in zip(found[len(names) :], quantities[len(names) :], strict=True)
    ]
    others = [name for name in names if name != tuned]
    return dict(zip(names, found, strict=False)), dict(
        zip(others, found[len(names) :], strict=True)
    )


def needed(
    nats: Mapping[str, Sequence[float]],
    tokens: Sequence[int],
    tuned: str,
    effect: Callable[[str], float],
) -> dict[str, int | None]:
    """Per other model, how many rows would show a difference of effect(name) nats a token: `rows_to_show`."""
    import numpy as np

    weights, own = np.array(tokens, dtype=float), np.array(nats[tuned], dtype=float)
    return {
        name: rows_to_show(own - np.array(losses, dtype=float), weights, effect(name))
        for name, losses in nats.items()
        if name != tuned
    }


def _with_room(found: Interval, below: float, above: float) -> Interval:
    return Interval(found.mean, found.lo - below, found.hi + above)


def _intervals(
    sums: NDArray[np.float64], weights: NDArray[np.float64], seed: int, resamples: int
) -> list[Interval]:
    """One for each line of sums (quantities x rows)."""
    import numpy as np

    rows, total = len(weights), weights.sum()
    ratio = sums.sum(axis=1) / total
    apart = sums - ratio[:, None] * weights
    error = _standard_error(apart, total, rows)
    drawn, scaled = [], []
    for picked in draws(rows, resamples, seed):
        some, weighed = sums[:, picked], weights[picked]
        totals = weighed.sum(axis=1)
        ratios = some.sum(axis=2) / totals
        errors = _standard_error(some - ratios[:, :, None] * weighed, totals, rows)
        drawn.append(ratios)
        with np.errstate(divide="ignore", invalid="ignore"):
            # a draw of one row again and again has no error but that of floating point: it says nothing
            told = errors > _NO_ERROR * error[:, None]
            scaled.append(np.where(told, (ratios - ratio[:, None]) / errors, np.nan))
    ratios, ts = np.concatenate(drawn, axis=1), np.concatenate(scaled, axis=1)
    unseen = UNSEEN * np.abs(apart).max(axis=1) / total
    return [
        _widest(*of_one)
        for of_one in zip(ratio, error, ratios, ts, unseen, [rows] * len(sums), strict=True)
    ]


def _standard_error(
    apart: NDArray[np.float64], total: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    import numpy as np

    error: NDArray[np.float64] = np.sqrt((apart**2).sum(axis=-1) * rows / max(rows - 1, 1)) / total
    return error


def _widest(
    ratio: float,
    error: float,
    drawn: NDArray[np.float64],
    ts: NDArray[np.float64],
    unseen: float,
    rows: int,
) -> Interval:
    import numpy as np

    lo, hi = np.percentile(drawn, [2.5, 97.5])
    half = student_t(rows - 1) * error
    lo, hi = min(lo, ratio - half), max(hi, ratio + half)
    ts = ts[np.isfinite(ts)]
    if len(ts):
        low, high = np.percentile(ts, [2.5, 97.5])
        lo, hi = min(lo, ratio - high * error), max(hi, ratio - low * error)
    return Interval(float(ratio), float(lo - unseen), float(hi + unseen))


def of_mean(values: Sequence[float]) -> Interval:
    """The mean of values without a long tail, with Student's t; of one value nothing is sure, so that it reaches 0."""
    middle = fmean(values)
    if len(values) < 2:
        return Interval(middle, min(0.0, middle), max(0.0, middle))
    half = student_t(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - half, middle + half)


def student_t(degrees: int) -> float:
    """The 97.5th percentile of Student's t, by Cornish and Fisher's expansion; within 0.001 from 6 degrees of freedom on.

    Below that no verdict is given; one degree is taken as one.
    """
    z, n = NormalDist().inv_cdf(0.975), max(degrees, 1)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / n ** (power + 1) for power, term in enumerate(terms)))


def draws(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of all resamples, a few resamples at once so that memory does not grow with the rows."""
    import numpy as np

    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // rows)
    for start in range(0, resamples, step):
        yield random.integers(0, rows, size=(min(step, resamples - start), rows))
