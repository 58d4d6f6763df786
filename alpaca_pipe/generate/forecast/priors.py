"""What a teacher may be like, before it was heard and after: many imagined teachers, each one draw of every figure.

A figure that was observed pulls the imagined ones to itself, the harder the more of it was seen: 20 replies narrow what
is believed, 2,000 decide it (normal prior and likelihood, on a scale where that fits: logarithms, log-odds).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from math import exp, expm1, hypot, log, log1p, sqrt
from random import Random
from statistics import fmean, pstdev

from alpaca_pipe.generate.round_stats import RoundStats


@dataclass(frozen=True)
class LogNormal:
    """A figure above zero: its median, and the standard deviation of its logarithm (0.4: a factor of 1.7 in 80 %)."""

    median: float
    spread: float

    def draw(self, chance: Random) -> float:
        return self.median * exp(chance.gauss(0, self.spread))


@dataclass(frozen=True)
class Prior:
    """What is believed of a sort of teacher under one style.

    Novelty: a new instruction is near a known one with probability 1 - exp(-hazard (n/1000)^bend) among n known ones.
    On the released 52K (ROUGE-L, each row against those before it) that form holds with bend 0.23 to 0.29 at every
    likeness from 0.4 to 0.65, and hazard falls 1.57, 1.22, 0.74, 0.50, 0.26, 0.12 in steps of 0.05: about 0.06 at
    0.7. What was left out of the 52K is not in it, and another teacher is another one, so the guesses are wide.
    """

    letters: LogNormal  # of a prompt, for one token
    out: LogNormal  # tokens, for each task that is asked for; in style two-step, of an instruction
    out_answer: LogNormal  # tokens of an answer that is asked for by itself
    out_spread: float  # of one reply around their mean: standard deviation of its logarithm
    pieces: LogNormal  # for each task asked
    readable: tuple[
        float, float
    ]  # log-odds that a piece passes every rule but novelty: mean, standard deviation
    finished: tuple[float, float]  # the same for an answer that is asked for by itself
    hazard: LogNormal
    bend: LogNormal
    lost: float  # attempts whose outcome stays unknown, for each request
    thinks: LogNormal | None = None  # tokens that it thinks before each reply


_ENGLISH = LogNormal(4.1, 0.12)
ALPACA = Prior(
    _ENGLISH,
    LogNormal(105, 0.38),
    LogNormal(105, 0.38),
    0.35,
    LogNormal(0.98, 0.08),
    (3.0, 1.2),
    (6, 0.5),
    LogNormal(0.07, 1.0),
    LogNormal(0.38, 0.4),
    0.004,
)
# Style alpaca-2023, a list of 16. Of text-davinci-003's replies nobody kept count; a stop string ends some of them early,
# and one list of words drops about a tenth of what comes.
LIST = Prior(
    _ENGLISH,
    LogNormal(95, 0.38),
    LogNormal(95, 0.38),
    0.35,
    LogNormal(0.85, 0.2),
    (1.8, 1.0),
    (6, 0.5),
    LogNormal(0.07, 1.0),
    LogNormal(0.38, 0.4),
    0.004,
)
TWO_STEP = Prior(
    _ENGLISH,
    LogNormal(20, 0.3),
    LogNormal(110, 0.6),
    0.45,
    LogNormal(1, 0.01),
    (3.0, 1.2),
    (3.0, 1.2),
    LogNormal(0.07, 1.1),
    LogNormal(0.38, 0.4),
    0.004,
)
# Guesses, measured nowhere yet. Rows that exist are told apart already, so what is made of them is seldom near another.
_ORCA = replace(
    ALPACA, out=LogNormal(300, 0.5), hazard=LogNormal(1e-4, 0.5), pieces=LogNormal(1, 0.01)
)
_EVOL = replace(
    TWO_STEP,
    out=LogNormal(60, 0.4),
    out_answer=LogNormal(250, 0.5),
    readable=(1.4, 1.0),
    hazard=LogNormal(0.02, 1.0),
)
_SELF_INSTRUCT = replace(
    TWO_STEP,
    out=LogNormal(16, 0.3),
    out_answer=LogNormal(40, 0.5),
    readable=(2.0, 1.0),
    finished=(1.5, 1.0),
)
PRIORS = {
    "alpaca": ALPACA,
    "alpaca-2023": LIST,
    "two-step": TWO_STEP,
    "documents": ALPACA,
    "orca": _ORCA,
    "evol": _EVOL,
    "self-instruct": _SELF_INSTRUCT,
}
# Measured: the embedded SmolLM2-135M on 2 cores, the quickstart's prompts (2026-11: three runs, 320 seats), and our
# scripted teacher. Their spreads are for other seeds, counts and limits.
SMALL = Prior(
    LogNormal(4.0, 0.06),
    LogNormal(13, 0.15),
    LogNormal(36, 0.15),
    0.45,
    LogNormal(1, 0.01),
    (3.8, 0.6),
    (2.7, 0.7),
    LogNormal(0.32, 0.7),
    LogNormal(0.45, 0.3),
    0.0,
)
SCRIPTED = Prior(
    LogNormal(4.0, 0.05),
    LogNormal(50, 0.15),
    LogNormal(50, 0.15),
    0.45,
    LogNormal(0.75, 0.08),
    (2.8, 0.3),
    (6, 0.5),
    LogNormal(0.40, 0.4),
    LogNormal(0.75, 0.25),
    0.0,
)
SCRIPTED_LIST = Prior(
    LogNormal(4.0, 0.05),
    LogNormal(50, 0.15),
    LogNormal(50, 0.15),
    0.45,
    LogNormal(0.95, 0.08),
    (2.0, 0.5),
    (6, 0.5),
    LogNormal(0.40, 0.4),
    LogNormal(0.75, 0.25),
    0.0,
)
SCRIPTED_TWO_STEP = Prior(
    LogNormal(4.0, 0.05),
    LogNormal(17, 0.1),
    LogNormal(36, 0.15),
    0.4,
    LogNormal(1, 0.01),
    (3.4, 0.4),
    (6, 0.5),
    LogNormal(0.20, 0.5),
    LogNormal(0.75, 0.3),
    0.0,
)
SCRIPTED_OF = {
    "alpaca": SCRIPTED,
    "alpaca-2023": SCRIPTED_LIST,
    "two-step": SCRIPTED_TWO_STEP,
    "documents": SCRIPTED,
    "orca": replace(
        SCRIPTED, out=LogNormal(36, 0.15), hazard=LogNormal(1e-4, 0.1), pieces=LogNormal(1, 0.01)
    ),
    "evol": replace(SCRIPTED_TWO_STEP, out=LogNormal(36, 0.15)),
    "self-instruct": replace(SCRIPTED_TWO_STEP, out=LogNormal(14, 0.2)),
}
_THINKING = {
    "none": None,
    "minimal": LogNormal(30, 1.0),
    "low": LogNormal(250, 0.7),
    "medium": LogNormal(900, 0.7),
    "high": LogNormal(3000, 0.7),
}


def thinking(effort: str) -> LogNormal | None:
    """Tokens before each reply of a model that thinks, by its reasoning effort. Not measured here."""
    return _THINKING.get(effort, _THINKING["medium"])


@dataclass(frozen=True)
class RoundVariation:
    """How far a round's mean lies from the run's, where all its prompts show the same seeds: standard deviations of the
    logarithm, of tokens in, tokens out (first and of an answer), and of the rows that come from a prompt. Seeds that draw long
    instructions draw long answers too, of which more are cut: but for tokens in, the three swing together."""

    ins: float = 0.0
    out: float = 0.0
    out_answer: float = 0.0
    rows: float = 0.0


STEADY = RoundVariation()
# Of the embedded model, 2026-11: between what ten runs of 39 rounds had (0.07, 0.22, 0.23, 0.17), and 14 rounds before, rounded
# up (0.07, 0.3, 0.18, 0.22). In nine of those tokens out of an instruction and of its answer went together (correlation 0.91), and
# against the rows (-0.95, -0.90).
SWINGING = RoundVariation(0.07, 0.25, 0.23, 0.2)


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
    hazard: list[float]
    bend: list[float]
    lost: list[float]
    seconds: list[float]

    def learned(
        self,
        seen: Sequence[RoundStats],
        asked: int,
        swing: RoundVariation,
        drift: float,
        haste: float,
    ) -> ImaginedTeacher:
        """The same teachers after what was seen of the real one, round by round.

        asked: tasks in a seat.  drift: how far a figure may move between then and now (standard deviation of its
        logarithm).  haste: the same for the pace.
        """
        whole = sum(seen, RoundStats())
        changed = {field.name: getattr(self, field.name) for field in fields(self)}

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
            changed["hazard"], changed["bend"] = _novelty(
                self.hazard, self.bend, seen, Random("novelty")
            )
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


def _novelty(
    hazard: list[float], bend: list[float], seen: Sequence[RoundStats], chance: Random
) -> tuple[list[float], list[float]]:
    """Hazard and bend after what was dropped as near a known one, from a grid over both that closes in once.

    The hazard is taken at the middle of the pools that were seen: there it is known best, and apart from the bend.
    """
    parts = _bins(seen)
    tried = sum(part.near + part.new for part in parts)
    pivot = exp(sum((part.near + part.new) * log(part.pool) for part in parts) / tried) / 1000
    at = [log(h) + b * log(pivot) for h, b in zip(hazard, bend, strict=True)]
    before = (
        fmean(map(log, hazard)),
        pstdev(map(log, hazard)),
        fmean(map(log, bend)),
        pstdev(map(log, bend)),
    )

    def likely(height: float, bent: float) -> float:
        b = exp(bent)
        away = ((height - b * log(pivot) - before[0]) / before[1]) ** 2 + (
            (bent - before[2]) / before[3]
        ) ** 2
        fit = 0.0
        for part in parts:
            risk = exp(min(height + b * log(part.pool / 1000 / pivot), 4.0))
            fit += part.near * log(-expm1(-max(risk, 1e-9))) - part.new * risk
        return fit / _TOGETHER - away / 2

    low, high = min(at) - 1, max(at) + 1
    left, right = before[2] - 3 * before[3], before[2] + 3 * before[3]
    for size in (24, 20):
        heights = [low + (high - low) * (i + 0.5) / size for i in range(size)]
        bents = [left + (right - left) * (i + 0.5) / 12 for i in range(12)]
        cells = [(height, bent) for height in heights for bent in bents]
        found = [likely(*cell) for cell in cells]
        best = max(found)
        weights = [exp(value - best) for value in found]
        wide = ((high - low) / size, (right - left) / 12)
        kept = [cell for cell, weight in zip(cells, weights, strict=True) if weight > 1e-4]
        low, high = min(h for h, _ in kept) - wide[0] / 2, max(h for h, _ in kept) + wide[0] / 2
        left, right = min(b for _, b in kept) - wide[1] / 2, max(b for _, b in kept) + wide[1] / 2
    summed = list(accumulate(weights))
    hazards, bends = [], []
    for _ in hazard:
        height, bent = cells[min(bisect(summed, chance.random() * summed[-1]), len(cells) - 1)]
        b = exp(bent + wide[1] * (chance.random() - 0.5))
        bends.append(b)
        hazards.append(exp(height + wide[0] * (chance.random() - 0.5) - b * log(pivot)))
    return hazards, bends


@dataclass(frozen=True)
class _PoolBin:
    """Verdicts on pieces that were compared with pools of about one size."""

    pool: float
    near: int
    new: int


def _bins(seen: Sequence[RoundStats]) -> list[_PoolBin]:
    """Rounds laid together until their pools differ by a quarter."""
    rounds = sorted(
        (one.pool + one.new / 2, one.near, one.new) for one in seen if one.near + one.new
    )
    parts: list[_PoolBin] = []
    for pool, near, new in rounds:
        last = parts[-1] if parts else None
        if last and pool < 1.25 * last.pool:
            share = (near + new) / (last.near + last.new + near + new)
            parts[-1] = _PoolBin(
                last.pool + share * (pool - last.pool), last.near + near, last.new + new
            )
        else:
            parts.append(_PoolBin(max(pool, 1.0), near, new))
    return parts


def _lost(rates: list[float], whole: RoundStats, chance: Random) -> list[float]:
    """Rates of lost attempts (gamma prior, counts that come in bursts) after so many."""
    burst = 4.0
    mean = max(fmean(rates), 1e-4)
    shape, rate = 0.5 + whole.lost / burst, 0.5 / mean + whole.attempts / burst
    return [chance.gammavariate(shape, 1 / rate) for _ in rates]
