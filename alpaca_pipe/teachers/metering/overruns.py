"""Whether a teacher keeps to its limits: one that this ledger has not heard is asked one request first, and then as many more
at once as it has given replies; what it takes beyond a ceiling is reserved from then on. So a cap is not passed by all that
is in flight together, where a teacher bills more than it was asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.batch_jobs import request_of
from alpaca_pipe.ledger.store.journal import Journal

WIDENS = 4  # more at once for each reply: 1, 4, 20, 100, 500
_REMEMBERED = 200  # its last replies
_MARGIN = 2  # times the largest excess so far that is reserved for the next request


class Overruns:
    """Of one teacher under caps. heard: its replies so far; excess: the most that one of them cost above its ceiling."""

    def __init__(self, heard: int = 0, excess: int = 0, *, narrow: bool = True) -> None:
        """narrow: False where requests cannot be asked one by one (batches), or where no cap holds."""
        self._heard, self._excess, self._narrow = heard, excess, narrow
        self._in_flight = self.waiting = 0
        self._line = asyncio.Lock()
        self._free = asyncio.Event()

    @property
    def allowance(self) -> int:
        """Nano-dollars to be reserved above the ceiling of each request."""
        return _MARGIN * self._excess

    def heard(self, cost: int, ceiling: int) -> None:
        """A reply is stored; ceiling: without any allowance."""
        self._heard += 1
        self._excess = max(self._excess, cost - ceiling)
        self._free.set()

    def place(self, go_on: Callable[[], None]) -> FlightPlace:
        """`async with` it: waits until one more may be in flight. go_on raises where nothing new should be sent."""
        return FlightPlace(self, go_on)

    @property
    def _full(self) -> bool:
        return self._narrow and self._in_flight >= max(1, WIDENS * self._heard)

    async def _enter(self, go_on: Callable[[], None]) -> None:
        self.waiting += 1
        try:
            if self._full or self._line.locked():
                async with self._line:
                    while self._full:
                        go_on()
                        self._free.clear()
                        await self._free.wait()
                    self._in_flight += 1
            else:
                self._in_flight += 1
        finally:
            self.waiting -= 1

    def _leave(self) -> None:
        self._in_flight -= 1
        self._free.set()


class FlightPlace:
    """Of one request; given back when it is over, or earlier."""

    def __init__(self, overruns: Overruns, go_on: Callable[[], None]) -> None:
        self._overruns, self._go_on, self._held = overruns, go_on, False

    async def __aenter__(self) -> Self:
        await self._overruns._enter(self._go_on)
        self._held = True
        return self

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self._overruns._leave()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.give_back()


def overruns_so_far(
    journal: Journal,
    teacher: Mapping[str, Any],
    price: Price,
    ceiling: Callable[[Request], int],
    *,
    narrow: bool,
) -> Overruns:
    """What the ledger knows of a teacher at a price. ceiling: of a request, in nano-dollars."""
    with journal.read() as db:
        rows = db.execute(
            """SELECT e.nanodollars, r.request FROM (
                 SELECT id, request, nanodollars FROM entries WHERE price = ? AND kind = 'settled' ORDER BY id DESC LIMIT ?
               ) AS e JOIN replies AS r ON r.key = e.request WHERE r.teacher = ?""",
            (price.id, _REMEMBERED, canonical(dict(teacher))),
        ).fetchall()
    excess = max((cost - ceiling(request_of(json.loads(asked))) for cost, asked in rows), default=0)
    return Overruns(len(rows), max(0, excess), narrow=narrow)
