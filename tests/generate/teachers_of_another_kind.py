"""Teachers to check the forecast by, made in another way than it imagines its own.

Novelty is not a curve here: a teacher has ideas, in clusters of unequal popularity, and some of them twice; that fewer are new as
the pool grows only follows from it. Lengths are drawn from real rows, or from a mixture of labels, sentences and
essays; failures come in bursts; replies of one prompt resemble each other. Each teacher plays the rounds of generation
by their rules: whole rounds, an answer for each new instruction in style two-step, a stall, a limit of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import sqrt
from random import Random

from alpaca_pipe.generate.forecast.simulation import RequestTiming, Workload
from alpaca_pipe.generate.prior import STEADY, SWINGING, LogNormal
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.stop_rules import STALL_ROUNDS, STALL_SEATS

PACE = RequestTiming(LogNormal(1, 0.3), LogNormal(60, 0.3), 16)


def order(chance: Random, most: int = 20_000) -> Workload:
    """What a user may ask for: 100 rows to `most`, at some price."""
    two_step = chance.random() < 0.3
    count = round(100 * (most / 100) ** chance.random())
    tasks = 1 if two_step else chance.choice((2, 4, 4, 6, 10))
    limits = (40, chance.choice((80, 256, 1024))) if two_step else (256 * tasks, 0)
    price_in = 100 * 30 ** chance.random()
    return Workload(
        count,
        chance.choice((8, 16, 32, 64)),
        tasks,
        two_step,
        3 * count if chance.random() < 0.1 else None,
        30,
        (chance.uniform(300, 2500), chance.uniform(500, 900)),
        (11.0, 11.0),
        limits,
        (price_in, price_in * chance.choice((1, 4, 8))),
        1500 * price_in,
        PACE,
        SWINGING if two_step else STEADY,
    )


@dataclass
class Teacher:
    """One draw from a population that the forecast does not know."""

    chance: Random
    lengths: Sequence[float]  # tokens of real rows; empty for the mixture
    pool: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        chance = self.chance
        clusters = round(30 * 50 ** chance.random())
        popular = chance.uniform(0, 1.1)
        self._clusters = range(clusters)
        self._weights = list(accumulate((rank + 1) ** -popular for rank in range(clusters)))
        ideas = 300_000 * 10 ** chance.gauss(
            0, 0.85
        )  # in all: 25 thousand to 4 million in eight cases of ten
        self._own = [
            max(1, round(ideas / clusters * chance.lognormvariate(0, 1))) for _ in range(clusters)
        ]
        self._favourite = chance.uniform(1, 2)  # within a cluster, the first ideas come more often
        self._caught = chance.uniform(
            0.5, 1
        )  # that a second wording of an idea is seen as near the first
        self._letters = chance.uniform(3.3, 5.0)
        self._wordy = chance.uniform(0.5, 1.7)
        self._label = chance.uniform(0, 0.5)
        self._faulty = (
            chance.uniform(0.2, 0.5) if chance.random() < 0.1 else chance.uniform(0, 0.15)
        )
        self._lazy = chance.uniform(0, 0.2) if chance.random() < 0.3 else 0.0
        self._swings = chance.uniform(0, 0.4)  # in style two-step, a round shows the same seeds
        self._bad = False
        self._falls, self._rises = (
            chance.uniform(0, 0.004),
            chance.uniform(0.05, 0.5),
        )  # into a burst of failures, out of it

    def _is_new(self) -> bool:
        cluster = self.chance.choices(self._clusters, cum_weights=self._weights)[0]
        idea = (cluster, int(self._own[cluster] * self.chance.random() ** self._favourite))
        if idea in self.pool and self.chance.random() < self._caught:
            return False
        self.pool.add(idea)
        return True

    def _length(self) -> float:
        chance = self.chance
        if self.lengths:
            return chance.choice(self.lengths)
        return (
            chance.gammavariate(1.5, 6) + 25
            if chance.random() < self._label
            else chance.gammavariate(2, 45) + 30
        )

    def _attempt(self) -> bool:
        """Whether an attempt is lost; failures come in bursts."""
        self._bad = (
            self.chance.random() > self._rises if self._bad else self.chance.random() < self._falls
        )
        return self._bad and self.chance.random() < 0.3

    def round(self, order: Workload, seats: int) -> RoundStats:
        """One round, by the rules of generation."""
        chance = self.chance
        known, sums = (
            order.known + len(self.pool),
            dict.fromkeys(
                (
                    "answers",
                    "pieces",
                    "near",
                    "new",
                    "accepted",
                    "in_first",
                    "in_first_squares",
                    "in_answers",
                    "in_answers_squares",
                    "out_first",
                    "out_first_squares",
                    "out_answers",
                    "out_answers_squares",
                    "attempts",
                    "lost",
                ),
                0,
            ),
        )

        def add(kind: str, ins: int, out: int) -> None:
            sums["attempts"] += 1
            while self._attempt():
                sums["lost"] += 1
                sums["attempts"] += 1
            sums[f"in_{kind}"] += ins
            sums[f"in_{kind}_squares"] += ins * ins
            sums[f"out_{kind}"] += out
            sums[f"out_{kind}_squares"] += out * out

        seeds = chance.lognormvariate(0, self._swings)
        for _ in range(seats):
            mood = chance.lognormvariate(0, 0.2)
            ins = round(order.letters[0] * chance.uniform(0.8, 1.2) / self._letters + 11)
            if order.follows:
                add(
                    "first",
                    ins,
                    min(round(8 + chance.gammavariate(3, 4) * self._wordy * seeds), 40),
                )
                sums["pieces"] += 1
                if chance.random() < self._faulty / 2:
                    continue
                if not self._is_new():
                    sums["near"] += 1
                    continue
                out = min(round(self._length() * self._wordy * mood * sqrt(seeds)), order.limits[1])
                sums["new"] += 1
                sums["answers"] += 1
                add(
                    "answers",
                    round(order.letters[1] * chance.uniform(0.8, 1.2) / self._letters + 11),
                    out,
                )
                sums["accepted"] += out < order.limits[1] and chance.random() > self._faulty / 2
                continue
            out, written = 0, sum(chance.random() >= self._lazy for _ in range(order.tasks)) or 1
            fault = chance.random() < self._faulty / 3  # the whole reply
            for _ in range(written):
                out += round((self._length() + 15) * self._wordy * mood)
                if out > order.limits[0]:
                    out = order.limits[0]
                    sums["pieces"] += 1
                    break
                sums["pieces"] += 1
                if fault or chance.random() < self._faulty * 2 / 3:
                    continue
                fresh = self._is_new()
                sums["near"] += not fresh
                sums["new"] += fresh
                sums["accepted"] += fresh
            add("first", ins, out)
        return RoundStats(seats, pool=known, **sums)


def play(teacher: Teacher, order: Workload) -> list[RoundStats]:
    """All rounds of a run."""
    rounds: list[RoundStats] = []
    accepted = requests = 0
    while accepted < order.count:
        seats = order.round_size
        if order.max_requests is not None:
            seats = min(seats, (order.max_requests - requests) // (2 if order.follows else 1))
        last = rounds[-STALL_ROUNDS:]
        if seats <= 0 or (
            len(last) == STALL_ROUNDS
            and sum(one.accepted for one in last) * STALL_SEATS < sum(one.seats for one in last)
        ):
            break
        rounds.append(teacher.round(order, seats))
        accepted, requests = accepted + rounds[-1].accepted, requests + rounds[-1].requests
    return rounds


def cost(order: Workload, seen: RoundStats) -> float:
    """Nano-dollars of what was asked, what was lost at its ceiling."""
    return (
        (seen.in_first + seen.in_answers) * order.price[0]
        + (seen.out_first + seen.out_answers) * order.price[1]
        + seen.lost * order.ceiling
    )
