"""Teachers to judge the bands by, that no prior was set on: other laws, other orders and other lengths than saturating_teachers.py has.

Each passage is an urn of ideas (a Pitman-Yor process): after n draws that brought k ideas the next one is new with probability
(strength + discount k) / (strength + n), and else an old one, the more often drawn the likelier. With a discount below zero an
urn holds so many ideas and no more; above zero it never ends, and only tires. An old idea in yet other words passes the rarer, the
more often it came. Tokens are log-normal around a passage's and a reply's own mean, faults come in bursts, and a round's seats
take the time that their slowest lanes take.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace
from math import exp
from random import Random

from alpaca_pipe.generate.forecast.simulation import Workload
from alpaca_pipe.generate.prior import STEADY
from alpaca_pipe.generate.round_stats import RoundStats
from tests.generate.round_tally import RoundTally
from tests.generate.teachers_of_another_kind import PACE

_HELD = {"early": (4, 30), "late": (30, 200)}  # ideas of a passage, from and to


def order(chance: Random) -> Workload:
    """What is asked about one to 250 passages: round numbers, as people choose them."""
    price = chance.choice((150, 250, 400, 800, 1250, 2500))
    return Workload(
        chance.choice((50, 100, 150, 250, 400, 600, 1000, 1500, 2500)),
        chance.choice((10, 12, 20, 24, 40)),
        chance.choice((1, 2, 3, 5, 8)),
        0,
        None,
        chance.choice((3, 10, 30, 40)),
        (1200 + chance.gammavariate(2, 600), 0),
        (11.0, 0),
        (4096, 0),
        (price, price * chance.choice((3, 5, 8))),
        2000 * price,
        PACE,
        STEADY,
        1 + int(249 * chance.random() ** 2.5),
    )


class _Urn:
    """One passage's ideas, by how often each was drawn."""

    def __init__(self, discount: float, strength: float, most: int) -> None:
        self._discount, self._strength, self._most = discount, strength, most
        self._times: list[int] = []
        self._drawn: list[int] = []  # the ideas, as they were drawn

    def draw(self, chance: Random) -> int:
        """How often this idea came before."""
        held, drawn = len(self._times), len(self._drawn)
        fresh = (self._strength + self._discount * held) / (self._strength + drawn)
        if not held or (held < self._most and chance.random() < fresh):
            self._times.append(1)
            self._drawn.append(held)
            return 0
        while True:  # an old one in proportion to its times less the discount
            idea = chance.choice(self._drawn)
            times = self._times[idea]
            if self._discount < 0:  # likelier than its times say: some draws are of any idea
                share = -self._discount * held / (drawn - self._discount * held)
                idea = chance.randrange(held) if chance.random() < share else idea
                times = self._times[idea]
            elif chance.random() * times < self._discount:
                continue
            self._times[idea] += 1
            self._drawn.append(idea)
            return times


@dataclass
class UrnTeacher:
    """One of a kind."""

    chance: Random
    kind: str
    order: Workload

    def __post_init__(self) -> None:
        chance, sources = self.chance, self.order.sources
        even = chance.choice((0.5, 1.0, 3.0))
        tires = chance.uniform(0.8, 0.97)
        begins = 10 ** chance.uniform(0.3, 1.7)
        self._urns = [self._urn(even, tires, begins) for _ in range(sources)]
        self._common = self._urn(even, tires, begins)
        self._strays = chance.betavariate(1, 6)
        self._reworded = chance.uniform(0, 0.3) * (chance.random() < 0.7)
        self._alike = chance.uniform(0, 0.25)
        self._long = [exp(chance.gauss(0, 0.3)) for _ in range(sources)]
        mean = sum(self._long) / sources
        self._long = [one / mean for one in self._long]
        self._letters = chance.gauss(4.15, 0.3)
        self._tokens = 100 * exp(chance.gauss(0, 0.4))
        self._uneven = chance.uniform(0.3, 0.9)
        self._fault = chance.betavariate(1, 14)
        self._burst = chance.uniform(0, 0.7)
        self._short = chance.betavariate(1, 5) * (chance.random() < 0.4)
        self._wait, self._speed = chance.uniform(0.6, 1.6), chance.uniform(38, 95)
        self._failed = False
        self.new = 0

    def _urn(self, even: float, tires: float, begins: float) -> _Urn:
        if self.kind == "never":
            return _Urn(tires, begins, 10**9)
        low, high = _HELD[self.kind]
        ideas = max(round(low * (high / low) ** self.chance.random()), 2)
        return _Urn(-even, ideas * even, ideas)

    def _is_new(self, passage: int) -> bool:
        chance = self.chance
        urn = self._common if chance.random() < self._strays else self._urns[passage]
        times = urn.draw(chance)
        if times:
            return chance.random() < self._reworded**times
        return chance.random() >= self._alike * self.new / (self.new + 2000)

    def _fails(self) -> bool:
        """A fault follows a fault more easily; so many come in all."""
        stays = self._burst + (1 - self._burst) * self._fault
        enters = (1 - self._burst) * self._fault
        self._failed = self.chance.random() < (stays if self._failed else enters)
        return self._failed

    def round(self, first: int) -> RoundStats:
        """One round of all its seats; each in its turn sees the next passage."""
        wanted, chance, known = self.order, self.chance, self.order.known + self.new
        tally = RoundTally()
        lanes = [0.0] * min(wanted.pace.lanes, wanted.round_size)
        for seat in range(first, first + wanted.round_size):
            passage = seat % wanted.sources
            asks = wanted.tasks
            if chance.random() < self._short:
                asks = chance.randint(1, wanted.tasks)
            tokens_in = round(wanted.letters[0] * self._long[passage] / self._letters + 11)
            mood, tokens_out = exp(chance.gauss(0, 0.15)), 8
            for _ in range(asks):
                tally.pieces += 1
                tokens_out += round(
                    self._tokens * mood * exp(chance.gauss(0, self._uneven) - self._uneven**2 / 2)
                )
                if self._fails():
                    continue
                fresh = self._is_new(passage)
                tally.row(fresh)
                self.new += fresh
            took = self._wait * exp(chance.gauss(0, 0.3)) + tokens_out / self._speed
            heapreplace(lanes, lanes[0] + took)
            tally.reply(tokens_in, tokens_out)
        return tally.stats(wanted.round_size, known, timed=wanted.round_size, seconds=max(lanes))
