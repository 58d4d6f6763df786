"""Teachers to judge the bands by: no prior and no width was set on them. Other laws, orders and lengths than those of
saturating_teachers.py and urn_teachers.py.

A passage has so many ideas, of log-normal prominence, and a teacher lists some of them in a reply, never the same twice in one
reply. One that never ends makes up a case of its own for most of its tasks, as models do, and every case is new. A repeated idea
passes in a fixed share, whatever came before. Some replies are cut and some are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapreplace
from math import exp
from random import Random

from alpaca_pipe.generate.forecast.simulation import Workload
from alpaca_pipe.generate.prior import STEADY
from alpaca_pipe.generate.round_stats import RoundStats
from tests.generate.round_tally import RoundTally
from tests.generate.teachers_of_another_kind import PACE

_HELD = {"early": (6, 22), "late": (40, 160), "never": (8, 80)}  # ideas of a passage, from and to


def order(chance: Random) -> Workload:
    """What is asked about two to 150 passages."""
    price = 10 ** chance.uniform(2, 3.4)
    return Workload(
        int(80 + 1920 * chance.random() ** 2),
        chance.randint(6, 36),
        chance.choice((2, 3, 4, 5, 10)),
        0,
        None,
        chance.randint(5, 60),
        (chance.triangular(1000, 5000, 2200), 0),
        (11.0, 0),
        (1500, 0),
        (price, price * chance.uniform(2, 6)),
        2000 * price,
        PACE,
        STEADY,
        round(2 * 75 ** chance.triangular(0, 1, 0.4)),
    )


@dataclass
class ListingTeacher:
    """One of a kind."""

    chance: Random
    kind: str
    order: Workload

    def __post_init__(self) -> None:
        chance, (low, high) = self.chance, _HELD[self.kind]
        uneven = chance.uniform(0.2, 1.6)
        self._prominence = [
            [exp(chance.gauss(0, uneven)) for _ in range(chance.randint(low, high))]
            for _ in range(self.order.sources)
        ]
        self._invents = chance.uniform(0.6, 0.97) if self.kind == "never" else 0.0
        self._passes = chance.triangular(0, 0.12, 0)
        self._bad = chance.expovariate(20)
        self._letters, self._tokens = chance.triangular(3.4, 4.9), chance.triangular(45, 210, 90)
        self._fewer = chance.triangular(0, 0.3, 0)
        self._loses = chance.choice((0, 0, 0, 0.005, 0.02))
        self._seconds, self._speed = chance.triangular(0.7, 1.5), chance.triangular(40, 90)
        self._told: set[tuple[int, int]] = set()
        self.new = 0

    def _listed(self, passage: int, asks: int) -> list[bool]:
        """For each task of a reply, whether it is new."""
        chance, weights = self.chance, self._prominence[passage]
        verdicts: list[bool] = []
        taken: set[int] = set()
        for _ in range(asks):
            if chance.random() < self._invents:
                verdicts.append(True)
                continue
            left = [i for i in range(len(weights)) if i not in taken]
            if not left:
                break
            idea = chance.choices(left, [weights[i] for i in left])[0]
            taken.add(idea)
            verdicts.append((passage, idea) not in self._told or chance.random() < self._passes)
            self._told.add((passage, idea))
        return verdicts

    def round(self, first: int) -> RoundStats:
        """One round of all its seats; each in its turn sees the next passage."""
        wanted, chance, known = self.order, self.chance, self.order.known + self.new
        tally, lost = RoundTally(), 0
        lanes = [0.0] * min(wanted.pace.lanes, wanted.round_size)
        for seat in range(first, first + wanted.round_size):
            asks = max(sum(chance.random() >= self._fewer for _ in range(wanted.tasks)), 1)
            listed = self._listed(seat % wanted.sources, asks)
            tokens_in = round(wanted.letters[0] * chance.uniform(0.7, 1.3) / self._letters + 11)
            tokens_out = 10
            for fresh in listed:
                tokens_out += round(chance.gammavariate(1.5, self._tokens / 1.5))
                tally.pieces += 1
                if tokens_out > wanted.limits[0]:
                    break  # cut: what it was writing cannot be read
                if chance.random() >= self._bad:
                    tally.row(fresh)
            tokens_out = min(tokens_out, wanted.limits[0])
            while chance.random() < self._loses:
                lost += 1
            took = self._seconds * chance.uniform(0.6, 1.8) + tokens_out / self._speed
            heapreplace(lanes, lanes[0] + took)
            tally.reply(tokens_in, tokens_out)
        self.new += tally.new
        return tally.stats(
            wanted.round_size, known, lost, timed=wanted.round_size, seconds=max(lanes)
        )


@dataclass
class StretchTeacher(ListingTeacher):
    """Asks about a stretch of neighbouring facts of a passage in each reply. One that never ends finds a new side of a known fact
    most of the time."""

    def _listed(self, passage: int, asks: int) -> list[bool]:
        chance, facts = self.chance, len(self._prominence[passage])
        begin = int(facts * chance.betavariate(1, 1.6))
        verdicts = []
        for place in range(begin, begin + min(asks, facts)):
            fact = passage, place % facts
            again = chance.random() < max(self._invents, self._passes)
            verdicts.append(fact not in self._told or again)
            self._told.add(fact)
        return verdicts


def order_of_stretches(chance: Random) -> Workload:
    """What is asked about one to 400 passages."""
    wanted = order(chance)
    return replace(
        wanted,
        count=chance.choice((64, 128, 200, 300, 500, 750, 1200, 3000)),
        round_size=chance.choice((8, 16, 24, 32)),
        tasks=chance.choice((1, 3, 4, 6)),
        sources=round(400 ** chance.betavariate(1.5, 1.5)),
    )
