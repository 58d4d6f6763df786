"""The first steps of a tune say how long the rest will take, and what it will cost."""

from __future__ import annotations

import time
from collections.abc import Callable

from alpaca_pipe.core.duration import spell
from alpaca_pipe.ledger.money import shown

_WARMING, COUNTED = 2, 20  # steps that start slowly; steps that are measured


class Calibration:
    """Of all tunes of a stage together. steps: of all; per_hour: nano-dollars of the machine, 0 where nobody bills it; say:
    given one sentence, once. A step counts where it is heard here: those before a resume do not."""

    def __init__(
        self,
        steps: int,
        per_hour: int,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._per_hour, self._say, self._now = steps, per_hour, say, now
        self._heard, self._began = 0, 0.0

    def step(self, done: int) -> None:
        """done: steps of all tunes that are behind us."""
        self._heard += 1
        if self._heard == _WARMING:
            self._began = self._now()
        rest = self._steps - done
        if self._heard != _WARMING + COUNTED or rest < COUNTED:
            return
        each = (self._now() - self._began) / COUNTED
        money = round(self._per_hour * each * rest / 3600)
        cost = f", {shown(money)} at {shown(self._per_hour)} an hour" if self._per_hour else ""
        self._say(
            f"{COUNTED} steps took {each:.2g} s each: the other {rest:,} take about {spell(each * rest / 60)}{cost}"
        )
