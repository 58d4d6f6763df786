"""What judgements come to: a win rate that neither the order nor, if wanted, the length has a part in; and what was not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.evaluate.bootstrap import Interval, draws
from alpaca_pipe.evaluate.judge.equal_length import at_equal_length
from alpaca_pipe.evaluate.judge.judge_requests import BEST
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion
from alpaca_pipe.evaluate.proportions import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RESAMPLES = 10_000


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
    """wins + losses + ties + unread = pairs. rate: the mean score, ties half; wilson, bootstrap, interval (the wider of both on
    either side, so never of width 0) and length_controlled: 95 %, over prompts.
    at_worst, at_best: were every pair that was not read lost, or won."""
    rows = scored(pairs, judgements)
    scores = [row.score for row in rows]
    unread = len(pairs) - len(rows)
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
        "wilson": _wilson(rows).rounded() if rows else None,
        "bootstrap": bootstrap_rate(rows, seed).rounded() if rows else None,
        "interval": rate_interval(rows, seed).rounded() if rows else None,
        **_even(rows, seed),
        "longer": _longer(rows),
        **steadiness(judgements),
        "by_category": {
            name: {"pairs": len(some), **_wilson(some).rounded()}
            for name, some in _by_category(rows).items()
        },
    }


def steadiness(judgements: Sequence[Opinion]) -> dict[str, Any]:
    """Of judgements in both orders. chose: replies that are no tie; first: the share of them for the answer that stood first;
    agreed: of the pairs, those of which both orders say the same."""
    said = [one for one in judgements if one.value not in (None, "tie")]
    return {
        "chose": len(said),
        "first": round(sum(one.value == "A" for one in said) / len(said), 6) if said else None,
        "agreed": _agreed(judgements),
    }


def _even(rows: Sequence[ScoredPair], seed: int) -> dict[str, Any]:
    """length_controlled; length_says: where that is not known, or not by much, why."""
    if not rows:
        return {"length_controlled": None, "length_says": ""}
    scores, apart = [row.score for row in rows], [_apart(row.pair) for row in rows]
    found = at_equal_length(scores, apart, _prompts(rows), seed)
    return {
        "length_controlled": found.rate.rounded() if found.rate else None,
        "length_says": found.says,
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


def _by_category(rows: Sequence[ScoredPair]) -> dict[str, list[ScoredPair]]:
    found: dict[str, list[ScoredPair]] = {}
    for row in rows:
        if row.pair.category:
            found.setdefault(row.pair.category, []).append(row)
    return dict(sorted(found.items()))


def _prompts(rows: Sequence[ScoredPair]) -> NDArray[np.int64]:
    """Of each row the number of its prompt. Drawn are prompts: turns of one prompt are no two opinions."""
    import numpy as np

    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.pair.prompt, len(numbers)) for row in rows])


def _mean(values: NDArray[np.float64], of: NDArray[np.int64], seed: int) -> Interval:
    """Of one value a row, with percentiles of the bootstrap over prompts."""
    import numpy as np

    sums, counts = np.bincount(of, values), np.bincount(of)
    found = np.concatenate(
        [
            sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
            for drawn in draws(len(sums), _RESAMPLES, seed)
        ]
    )
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def _wilson(rows: Sequence[ScoredPair]) -> Interval:
    """Of as many rows as there are prompts."""
    share, prompts = (
        sum(row.score for row in rows) / len(rows),
        len({row.pair.prompt for row in rows}),
    )
    return wilson(share * prompts, prompts)


def rate_interval(rows: Sequence[ScoredPair], seed: int) -> Interval:
    """The wider of Wilson's and the bootstrap's: where all pairs agree the bootstrap sees nothing that it could draw."""
    return _at_least(bootstrap_rate(rows, seed), _wilson(rows))


def _at_least(found: Interval, other: Interval) -> Interval:
    return Interval(found.mean, min(found.lo, other.lo), max(found.hi, other.hi))


def bootstrap_rate(rows: Sequence[ScoredPair], seed: int) -> Interval:
    import numpy as np

    return _mean(np.array([row.score for row in rows]), _prompts(rows), seed)


def grade_interval(apart: NDArray[np.float64], of: NDArray[np.int64], seed: int) -> Interval:
    """Of the mean of differences from 1 - BEST to BEST - 1. The bootstrap's, and at least what is left unseen by so many prompts
    (Clopper and Pearson 1934, of none that differs): that share of prompts may lie at either end of the scale."""
    found, end = _mean(apart, of, seed), BEST - 1
    unseen = 1 - 0.025 ** (1 / (int(of.max()) + 1))
    low, high = (found.mean + unseen * (side - found.mean) for side in (-end, end))
    return _at_least(found, Interval(found.mean, low, high))


def grade_summary(judgements: Sequence[Opinion], seed: int) -> dict[str, Any]:
    """Mean grades from 1 to 10, and the mean difference tuned - other over prompts of which both were read, with bootstrap
    intervals (`grade_interval`). graded + unread = requests."""
    import numpy as np

    grades: dict[str, dict[tuple[str, int], float]] = {"tuned": {}, "other": {}}
    for one in judgements:
        if one.value is not None:
            grades[one.place][one.pair.prompt, one.pair.turn] = float(one.value)
    both = [key for key in grades["tuned"] if key in grades["other"]]
    apart = np.array([grades["tuned"][key] - grades["other"][key] for key in both])
    rows = [ScoredPair(AnswerPair(key[0], key[1], "", (), (), ()), 0.0) for key in both]
    gap = grade_interval(apart, _prompts(rows), seed).rounded() if both else None
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
