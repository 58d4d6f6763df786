"""What was dropped as near a known instruction tells how a teacher's ideas run out: many saturations that fit what was seen.

Chains that learn from each other's places how far to step (differential evolution Markov chains, ter Braak 2006); they need no
derivative and no tuning, and begin at what was imagined before.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p, sqrt
from random import Random
from statistics import pstdev

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.generate.forecast.saturation import ENDLESS, Saturation
from alpaca_pipe.generate.round_stats import RoundStats

_CHAINS, _STEPS = 48, 60
_TOGETHER = 1.4  # pieces of one reply fall together: their counts say less than so many coins
# What a passage is asked for the first time: no reply repeats itself, so that all is new says little of how much is left.
_FIRST = 4.0


@dataclass(frozen=True)
class _PoolBin:
    """Verdicts on pieces that were compared with pools of about one size."""

    pool: float
    near: int
    new: int
    doubt: float = 1.0  # how much less than usual these verdicts say


class _Figure:
    """What is believed of one figure, as draws of its logarithm: a mixture of narrow normal densities around some of them, so
    that what it believed in two heaps stays two heaps."""

    def __init__(self, draws: Sequence[float]) -> None:
        ordered = sorted(draws)
        count = len(ordered)
        self.fixed = ordered[0] == ordered[-1]
        self.centres = [ordered[(2 * i + 1) * count // 24] for i in range(12)]
        spread = pstdev(ordered) or 1e-6
        gaps = [self.centres[min(i + 1, 11)] - self.centres[max(i - 1, 0)] for i in range(12)]
        self.widths = [max(gap * 0.6, spread * 0.08) for gap in gaps]

    def log_density(self, value: float) -> float:
        total = 0.0
        for centre, width in zip(self.centres, self.widths, strict=True):
            away = (value - centre) / width
            if -8 < away < 8:
                total += exp(-away * away / 2) / width
        if total:
            return log(total)
        away = min(abs(value - self.centres[0]), abs(value - self.centres[-1]))
        return -32 - away


def learned(
    before: Sequence[Saturation], seen: Sequence[RoundStats], doubt: float = 1.0
) -> list[Saturation]:
    """As many as before. doubt: how much less than usual the counts say, where they misled already."""
    known, passages = before[0].known, before[0].passages
    parts = bins(seen, known, passages)
    figures = [[_place(one)[i] for one in before] for i in range(5)]
    beliefs = [_Figure(draws) for draws in figures]
    free = [i for i, belief in enumerate(beliefs) if not belief.fixed]
    if not free:
        return list(before)

    def fit(place: Sequence[float]) -> float:
        one = _saturation(place, known, passages)
        told = 0.0
        for part in parts:
            fresh = min(one.fresh(part.pool), 1 - 1e-9)
            said = part.new * log(fresh) + (part.near * log1p(-fresh) if part.near else 0.0)
            told += said / part.doubt
        return told / (_TOGETHER * doubt) + sum(beliefs[i].log_density(place[i]) for i in free)

    chance = Random("novelty")
    scored = sorted(
        ((fit(_place(one)), _place(one)) for one in before[:: len(before) // 200 or 1]),
        reverse=True,
    )
    chains = [list(place) for _, place in scored[:_CHAINS]]
    fits = [value for value, _ in scored[:_CHAINS]]
    kept: list[list[float]] = []
    late = -(-len(before) // len(chains))
    for step in range(_STEPS + late):
        stride = 1.0 if step % 8 == 7 else 2.38 / sqrt(2 * len(free))
        for i, chain in enumerate(chains):
            one, other = chance.sample(chains, 2)
            place = list(chain)
            for j in free:
                place[j] += stride * (one[j] - other[j]) + chance.gauss(0, 0.02)
            value = fit(place)
            if value >= fits[i] or chance.random() < exp(value - fits[i]):
                chains[i], fits[i] = place, value
        if step >= _STEPS:
            kept += [list(chain) for chain in chains]
    chance.shuffle(kept)
    return [_saturation(place, known, passages) for place in kept[: len(before)]]


def _place(one: Saturation) -> tuple[float, ...]:
    """Where it lies in the space of the chains: hazard taken at a pool of 1,000, all as logarithms."""
    return (
        log(one.hazard),
        log(one.bend),
        log(one.ideas),
        log(one.skew),
        log(max(one.reworded, 1e-6) / (1 - min(one.reworded, 0.999))),
    )


def _saturation(place: Sequence[float], known: int, passages: int) -> Saturation:
    hazard, bend, ideas, skew, reworded = place
    return Saturation(
        exp(min(max(hazard, -40), 20)),
        exp(min(bend, 2)),
        exp(min(max(ideas, 0.0), log(ENDLESS))),
        exp(min(skew, 3)),
        1 / (1 + exp(-reworded)) if reworded > -13 else 0.0,
        known,
        passages,
    )


def bins(seen: Sequence[RoundStats], known: int = 0, passages: int = 0) -> list[_PoolBin]:
    """Rounds laid together until their pools differ by a quarter, or a tenth of all pieces lies together."""
    rounds = sorted(
        (one.pool + one.new / 2, one.near, one.new, _first(one, known, passages))
        for one in seen
        if one.near + one.new
    )
    most = sum(near + new for _, near, new, _ in rounds) / 10
    parts: list[_PoolBin] = []
    for pool, near, new, doubt in rounds:
        last = parts[-1] if parts and parts[-1].doubt == doubt else None
        if last and pool < 1.25 * last.pool and last.near + last.new < most:
            share = (near + new) / (last.near + last.new + near + new)
            parts[-1] = _PoolBin(
                last.pool + share * (pool - last.pool), last.near + near, last.new + new, doubt
            )
        else:
            parts.append(_PoolBin(max(pool, 1.0), near, new, doubt))
    return parts


def _first(one: RoundStats, known: int, passages: int) -> float:
    """The doubt of a round: whether its passages are shown for the first time, by how many rows a prompt brings."""
    return _FIRST if (one.pool - known + one.new / 2) * one.seats < passages * one.new else 1.0
