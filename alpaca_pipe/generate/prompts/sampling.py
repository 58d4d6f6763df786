"""Who sits where: what each prompt shows and asks for, drawn from the seed, its number, and the rows as sealed before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import field

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.generate.prompts.coverage import Balance
from alpaca_pipe.generate.prompts.topics import TOPICS, topics_from
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.sources.context import generation_of, of_row
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.styles.base import Seat, Style


@dataclass(frozen=True)
class Seating:
    """seed: the recipe's; of a run that extends another one, with the digest of its rows.  seeds: that the style can show.
    times: how often each ground is used; None: as often as needed.  topics: what tasks are asked about."""

    style: Style
    seed: int | str
    seeds: Sequence[Seed]
    round_size: int
    shown: int
    grounds: Sequence[Ground] = field(default=(), repr=False)
    times: int | None = None
    topics: tuple[str, ...] = TOPICS

    def turns(self) -> Turns:
        """The grounds in their order, from the first one on."""
        return Turns(self.grounds, self.seed, self.times, self.style.depth)

    def round(
        self,
        number: int,
        first: int,
        count: int,
        grounds: Sequence[Ground] = (),
        rows: Sequence[Example] = (),
        balance: Balance | None = None,
    ) -> list[Seat]:
        """So many places. first: how many were taken in the rounds before; grounds: one for each, where the style has them;
        rows, balance: of all rows accepted before."""
        return [
            self._seat(
                number, place, first + place, grounds[place] if grounds else None, rows, balance
            )
            for place in range(count)
        ]

    def _seat(
        self,
        round_: int,
        place: int,
        number: int,
        ground: Ground | None,
        rows: Sequence[Example],
        balance: Balance | None,
    ) -> Seat:
        style, seed = self.style, self.seed
        draw = int(digest_of(["draw", seed, round_, place])[:15], 16)
        machine = random.Random(f"machine {seed} {round_} {place}").sample(
            rows, min(style.machine, len(rows))
        )
        chance = random.Random(f"seeds {seed} {round_} {'' if style.one_prefix else place}")
        shown = chance.sample(self.seeds, max(self.shown - len(machine), 0)) if style.seeded else []
        told = (balance or Balance()) if style.steered else None
        topics = topics_from(seed, number * style.topics, style.topics, self.topics)
        return Seat(
            round_,
            place,
            tuple(shown),
            topics,
            ground,
            tuple(machine),
            told.lacks(style.tasks(self.shown), draw) if told else (),
            told.worn() if told else (),
            draw,
        )


class Turns:
    """Grounds to take, shuffled; those that come of accepted rows stand at the end of the turn in which they came. After a
    turn all of them come again in a new order, `times` turns in all."""

    def __init__(
        self, grounds: Sequence[Ground], seed: int | str, times: int | None, depth: int
    ) -> None:
        self._all, self._seed, self._times, self._depth = list(grounds), seed, times, depth
        self._turn = 0
        self._queue = self._shuffled()

    @property
    def left(self) -> int | None:
        """How many there are to take, as far as is known; None: without end."""
        if self._times is None:
            return None
        return len(self._queue) + len(self._all) * (self._times - 1 - self._turn)

    def take(self, count: int) -> list[Ground]:
        """The next ones; fewer than `left` are asked for."""
        while len(self._queue) < count:
            self._turn += 1
            self._queue += self._shuffled()
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    def add(self, rows: Sequence[Example]) -> None:
        """Rows that were accepted: grounds themselves, as far as the style goes."""
        later = [of_row(row) for row in rows if max(generation_of(row), 1) < self._depth]
        self._all += later
        self._queue += later

    def _shuffled(self) -> list[Ground]:
        return random.Random(f"grounds {self._seed} {self._turn}").sample(self._all, len(self._all))
