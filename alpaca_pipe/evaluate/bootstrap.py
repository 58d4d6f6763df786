"""How sure a held-out loss, or a difference of two, is: a paired bootstrap over rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 1_000_000  # drawn row numbers held at once: 8 MB, and as much again per model


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
    Interval: rows are drawn with replacement, the *same* rows for all models (what a row adds to both models' losses
    cancels in the difference); the 2.5th and 97.5th percentile of the ratio over the draws (Efron's percentile
    method; at 20 rows it is some percent too narrow). Not covered: the spread over training seeds.
    """
    import numpy as np

    names = list(nats)
    losses = np.array([nats[name] for name in names], dtype=float)  # models x rows
    weights = np.array(tokens, dtype=float)
    drawn = np.concatenate(
        [
            losses[:, rows].sum(axis=2) / weights[rows].sum(axis=1)
            for rows in draws(len(tokens), resamples, seed)
        ],
        axis=1,
    )  # models x resamples
    whole = losses.sum(axis=1) / weights.sum()
    at = names.index(tuned)
    means = {name: _interval(whole[i], drawn[i]) for i, name in enumerate(names)}
    differences = {
        name: _interval(whole[at] - whole[i], drawn[at] - drawn[i])
        for i, name in enumerate(names)
        if i != at
    }
    return means, differences


def draws(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of all resamples, a few resamples at once so that memory does not grow with the rows."""
    import numpy as np

    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // rows)
    for start in range(0, resamples, step):
        yield random.integers(0, rows, size=(min(step, resamples - start), rows))


def _interval(estimate: float, drawn: NDArray[np.float64]) -> Interval:
    import numpy as np

    lo, hi = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(estimate), float(lo), float(hi))
