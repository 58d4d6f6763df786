"""What judgements come to: a win rate that neither the order nor, if wanted, the length has a part in; and what was not read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.evaluate.bootstrap import Interval, draws
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion
from alpaca_pipe.evaluate.proportions import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RESAMPLES, _RESAMPLES_FITTED = 2_000, 400
_SPREAD = (
    1.0,
    1000.0,
)  # standard deviations of what is held likely before: quality, weight of length


@dataclass(frozen=True)
class ScoredPair:
    """1: the tuned answer is better in both orders, 0: the other is; 0.5: a tie, or each order says another thing."""

    pair: AnswerPair
    score: float


def scored(pairs: Iterable[AnswerPair], judgements: Iterable[Opinion]) -> list[ScoredPair]:
    """Each pair of which both orders were read, and each that is the same word for word. One order alone would let the
    judge's liking for a place in."""
    points: dict[tuple[str, int], list[float]] = {}
    for one in judgements:
        if one.value is not None:
            own = "A" if one.place == "first" else "B"
            point = 0.5 if one.value == "tie" else float(one.value == own)
            points.setdefault((one.pair.prompt, one.pair.turn), []).append(point)
    found = []
    for pair in pairs:
        both = [0.5, 0.5] if pair.same else points.get((pair.prompt, pair.turn), [])
        if len(both) == 2:
            found.append(ScoredPair(pair, sum(both) / 2))
    return found


def pair_summary(
    pairs: Sequence[AnswerPair], judgements: Sequence[Opinion], seed: int
) -> dict[str, Any]:
    """wins + losses + ties + unread = pairs. rate: the mean score, ties half; wilson, bootstrap, length_controlled: 95 %.
    at_worst, at_best: were every pair that was not read lost, or won. first: share of replies, ties aside, for the answer
    that stood first; agreed: of the pairs, those of which both orders say the same."""
    rows = scored(pairs, judgements)
    scores = [row.score for row in rows]
    unread = len(pairs) - len(rows)
    said = [one for one in judgements if one.value not in (None, "tie")]
    return {
        "pairs": len(pairs),
        "wins": sum(score > 0.5 for score in scores),
        "losses": sum(score < 0.5 for score in scores),
        "ties": sum(score == 0.5 for score in scores),
        "unread": unread,
        "unread_replies": sum(one.value is None for one in judgements),
        "requests": len(judgements),
        "same": sum(pair.same for pair in pairs),
        "rate": round(sum(scores) / len(scores), 6) if scores else None,
        "at_worst": round(sum(scores) / max(len(pairs), 1), 6),
        "at_best": round((sum(scores) + unread) / max(len(pairs), 1), 6),
        "wilson": wilson(sum(scores), len(scores)).rounded() if scores else None,
        "bootstrap": bootstrap_rate(rows, seed).rounded() if rows else None,
        "length_controlled": length_controlled(rows, seed).rounded() if rows else None,
        "longer": _longer(rows),
        "first": round(sum(one.value == "A" for one in said) / len(said), 6) if said else None,
        "agreed": _agreed(judgements),
        "by_category": {
            name: {"pairs": len(some), **wilson(sum(some), len(some)).rounded()}
            for name, some in _by_category(rows).items()
        },
    }


def _longer(rows: Sequence[ScoredPair]) -> float | None:
    """Share of pairs in which the tuned answer is the longer one."""
    longer = [_apart(row.pair) > 0 for row in rows]
    return round(sum(longer) / len(longer), 6) if longer else None


def _apart(pair: AnswerPair) -> int:
    return len(pair.tuned[-1]) - len(pair.other[-1])


def _agreed(judgements: Sequence[Opinion]) -> float | None:
    by_pair: dict[tuple[str, int], dict[str, Any]] = {}
    for one in judgements:
        if one.value is not None:
            by_pair.setdefault((one.pair.prompt, one.pair.turn), {})[one.place] = one.value
    turned = {"A": "B", "B": "A", "tie": "tie"}
    both = [found for found in by_pair.values() if len(found) == 2]
    alike = sum(found["first"] == turned[found["second"]] for found in both)
    return round(alike / len(both), 6) if both else None


def _by_category(rows: Sequence[ScoredPair]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.pair.category:
            found.setdefault(row.pair.category, []).append(row.score)
    return dict(sorted(found.items()))


def _resampled(
    rows: Sequence[ScoredPair],
    seed: int,
    count: int,
    value: Callable[[NDArray[np.int64]], float],
) -> tuple[float, float]:
    """Percentiles of a value over draws of whole prompts: turns of one prompt are no two opinions."""
    import numpy as np

    places: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        places.setdefault(row.pair.prompt, []).append(at)
    of_prompt = [np.array(one) for one in places.values()]
    found = [
        value(np.concatenate([of_prompt[one] for one in drawn]))
        for some in draws(len(of_prompt), count, seed)
        for drawn in some
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_rate(rows: Sequence[ScoredPair], seed: int) -> Interval:
    import numpy as np

    scores = np.array([row.score for row in rows])
    low, high = _resampled(rows, seed, _RESAMPLES, lambda drawn: float(scores[drawn].mean()))
    return Interval(float(scores.mean()), low, high)


def length_controlled(rows: Sequence[ScoredPair], seed: int) -> Interval:
    """The rate that would be seen if both answers were equally long, after Dubois et al. 2024 (arXiv:2404.04475): a logistic
    curve of the score over quality + weight * tanh(difference of lengths / its standard deviation), read at difference 0.

    Both unknowns are held near 0 by a normal prior (standard deviations 1 and 1,000): where the tuned answer is always the longer
    one the two cannot be told apart, and then length gets the credit.
    """
    import numpy as np

    scores = np.array([row.score for row in rows])
    apart = np.array([_apart(row.pair) for row in rows], dtype=float)
    spread = float(apart.std()) or float(np.abs(apart).max()) or 1.0
    lengths = np.tanh(apart / spread)

    def rate(drawn: NDArray[np.int64]) -> float:
        return 1 / (1 + math.exp(-_fitted(scores[drawn], lengths[drawn])))

    low, high = _resampled(rows, seed, _RESAMPLES_FITTED, rate)
    return Interval(rate(np.arange(len(rows))), low, high)


def _fitted(scores: NDArray[np.float64], lengths: NDArray[np.float64]) -> float:
    """The quality: Newton's method on a concave function, to 1e-9, with halved steps where a whole one overshoots."""
    import numpy as np

    columns = np.stack([np.ones_like(lengths), lengths], axis=1)
    prior = np.diag([1 / spread**2 for spread in _SPREAD])

    def likely(at: NDArray[np.float64]) -> float:
        logits = columns @ at
        return float(scores @ logits - np.logaddexp(0, logits).sum() - at @ prior @ at / 2)

    at = np.zeros(2)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-(columns @ at)))
        slope = columns.T @ (scores - chance) - prior @ at
        bend = (columns * (chance * (1 - chance))[:, None]).T @ columns + prior
        step = np.linalg.solve(bend, slope)
        while likely(at + step) < likely(at) and np.abs(step).max() > 1e-12:
            step = step / 2
        at = at + step
        if np.abs(step).max() < 1e-9:
            break
    return float(at[0])


def grade_summary(judgements: Sequence[Opinion], seed: int) -> dict[str, Any]:
    """Mean grades from 1 to 10, and the mean difference tuned - other over prompts of which both were read, with bootstrap
    intervals. graded + unread = requests."""
    import numpy as np

    grades: dict[str, dict[tuple[str, int], float]] = {"tuned": {}, "other": {}}
    for one in judgements:
        if one.value is not None:
            grades[one.place][one.pair.prompt, one.pair.turn] = float(one.value)
    both = [key for key in grades["tuned"] if key in grades["other"]]
    apart = np.array([grades["tuned"][key] - grades["other"][key] for key in both])
    rows = [ScoredPair(AnswerPair(key[0], key[1], "", (), (), ()), 0.0) for key in both]
    gap = None
    if len(both):
        low, high = _resampled(rows, seed, _RESAMPLES, lambda drawn: float(apart[drawn].mean()))
        gap = Interval(float(apart.mean()), low, high).rounded()
    return {
        "requests": len(judgements),
        "unread_replies": sum(one.value is None for one in judgements),
        "compared": len(both),
        "mean": {
            name: round(sum(found.values()) / len(found), 4) if found else None
            for name, found in grades.items()
        },
        "difference": gap,
    }
