"""Teachers that run out of ideas early, late or never, made in another way than the forecast imagines its own.

A passage holds facts. A teacher that is shown it asks about some of them, the striking ones more often, and words each in one of
some ways; two wordings of a fact are mostly seen as near. Passages of one document share facts. A teacher that never ends asks
about pairs of facts too. Nothing here is a curve: that fewer tasks are new only follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from alpaca_pipe.generate.forecast.simulation import Workload
from alpaca_pipe.generate.prior import STEADY
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.stop_rules import STALL_ROUNDS, STALL_SEATS
from tests.generate.round_tally import RoundTally
from tests.generate.teachers_of_another_kind import PACE

KINDS = ("early", "late", "never")
# facts in a passage, from and to: a short leaflet's, a dense page's, and one that is asked about in pairs
_FACTS = {"early": (5, 25), "late": (25, 150), "never": (20, 100)}


def order(chance: Random) -> Workload:
    """What is asked about one to 300 passages."""
    count = round(60 * 50 ** chance.random())
    price = 100 * 30 ** chance.random()
    return Workload(
        count,
        chance.choice((8, 16, 32)),
        chance.choice((1, 2, 4, 6)),
        0,
        None,
        chance.randint(0, 20),
        (chance.uniform(1500, 3500), 0),
        (11.0, 0),
        (2048, 0),
        (price, 4 * price),
        2000 * price,
        PACE,
        STEADY,
        round(300 ** chance.random()),
    )


@dataclass
class Teacher:
    """One of a kind. A fact is (passage, number), or (-1, number) where passages share it; a task is a fact or two, and a wording."""

    chance: Random
    kind: str
    order: Workload

    def __post_init__(self) -> None:
        chance, (low, high) = self.chance, _FACTS[self.kind]
        popular = chance.uniform(0, 1)
        self._shared = chance.uniform(0, 0.25)
        self._in_common = max(round(self.order.sources * low / 4), 3)
        self._facts = [
            list(
                accumulate(
                    (rank + 1) ** -popular
                    for rank in range(max(2, round(low * (high / low) ** chance.random())))
                )
            )
            for _ in range(self.order.sources)
        ]
        self._wordings = chance.randint(1, 4)
        self._strict = chance.uniform(0.9, 1.0) if chance.random() < 0.5 else 1.0
        self._faulty = chance.uniform(0, 0.12)
        self._lazy = chance.uniform(0, 0.2) if chance.random() < 0.3 else 0.0
        self._wordy, self._letters = chance.uniform(0.6, 1.6), chance.uniform(3.5, 4.8)
        self.asked: set[tuple[tuple[int, int], ...]] = set()
        self.worded: set[tuple[tuple[tuple[int, int], ...], int]] = set()
        self.new = 0

    def _fact(self, passage: int) -> tuple[int, int]:
        if self.chance.random() < self._shared:
            return -1, self.chance.randrange(self._in_common)
        weights = self._facts[passage]
        return passage, self.chance.choices(range(len(weights)), cum_weights=weights)[0]

    def _is_new(self, passage: int) -> bool:
        facts = [self._fact(passage)]
        if self.kind == "never" and self.chance.random() < 0.9:
            facts += [self._fact(passage), self._fact(passage)]
        task = tuple(sorted(set(facts)))
        wording = task, self.chance.randrange(self._wordings)
        near = wording in self.worded or (
            task in self.asked and self.chance.random() < self._strict
        )
        self.asked.add(task)
        self.worded.add(wording)
        return not near

    def round(self, first: int) -> RoundStats:
        """One round of all its seats; each in its turn sees the next passage."""
        wanted, chance, known = self.order, self.chance, self.order.known + self.new
        tally = RoundTally()
        for seat in range(first, first + wanted.round_size):
            asks = sum(chance.random() >= self._lazy for _ in range(wanted.tasks)) or 1
            tokens_in = round(wanted.letters[0] * chance.uniform(0.8, 1.2) / self._letters + 11)
            tokens_out = 0
            for _ in range(asks):
                tally.pieces += 1
                tokens_out += round((20 + chance.gammavariate(2, 40)) * self._wordy)
                if chance.random() < self._faulty:
                    continue
                fresh = self._is_new(seat % wanted.sources)
                tally.row(fresh)
            tally.reply(tokens_in, tokens_out)
        self.new += tally.new
        return tally.stats(wanted.round_size, known)


def play(teacher: Teacher) -> list[RoundStats]:
    """All rounds of a run, by the rules of generation: enough rows, or a stall."""
    rounds: list[RoundStats] = []
    while sum(one.accepted for one in rounds) < teacher.order.count:
        last = rounds[-STALL_ROUNDS:]
        new, seats = sum(one.accepted for one in last), sum(one.seats for one in last)
        if len(last) == STALL_ROUNDS and new * STALL_SEATS < seats:
            break
        rounds.append(teacher.round(sum(one.seats for one in rounds)))
    return rounds
