"""How fast we ask: so many at once, so many requests and tokens a minute, slower when the server pushes back."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds of back-off after the first failure, and at most
_GLANCE = 0.2  # seconds between two looks at whether to stop


class Pace:
    """One for each teacher. Concurrency halves at a push-back and grows by one for each full round of good answers
    (the AIMD of TCP, RFC 5681); a Retry-After holds everybody back; rates are spaced evenly, without bursts."""

    def __init__(self, concurrency: int, requests_per_minute: int | None = None, tokens_per_minute: int | None = None, *,
                 clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
                 chance: Callable[[], float] = random.random) -> None:
        self._most, self.limit = concurrency, float(concurrency)
        self._a_request = 60 / requests_per_minute if requests_per_minute else 0.0  # seconds of the minute that it takes
        self._a_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._in_flight = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._next_request = self._next_tokens = self._not_before = self._slowed_at = float("-inf")

    @asynccontextmanager
    async def turn(self, tokens: int, go_on: Callable[[], None]) -> AsyncIterator[Turn]:
        """Waits until one more request of about so many tokens may be sent. `go_on` raises when none should be."""
        await self._enter()
        try:
            now = self._clock()
            at = max(now, self._next_request, self._next_tokens)
            self._next_request = max(now, self._next_request) + self._a_request
            self._next_tokens = max(now, self._next_tokens) + tokens * self._a_token
            while (wait := max(at, self._not_before) - self._clock()) > 0:
                go_on()
                await self._sleep(min(wait, _GLANCE))
            go_on()
            yield Turn(self, tokens, self._clock())
        finally:
            self._leave()

    async def rest(self, failures: int, retry_after: float | None, go_on: Callable[[], None]) -> None:
        """Waits after the n-th failure of a request: twice as long each time with jitter, at least `retry_after`."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
        until = self._clock() + max(longest * (1 + self._chance()) / 2, retry_after or 0.0)
        while (wait := until - self._clock()) > 0:
            go_on()
            await self._sleep(min(wait, _GLANCE))

    async def _enter(self) -> None:
        if self._in_flight < int(self.limit):
            self._in_flight += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # the turn was handed over in the moment of the cancellation
                self._leave()
            raise

    def _leave(self) -> None:
        """Hands the turn to whoever waits longest; to nobody while there are more at once than there should be."""
        self._in_flight -= 1
        while self._line and self._in_flight < int(self.limit):
            place = self._line.popleft()
            if not place.done():
                self._in_flight += 1
                place.set_result(None)


class Turn:
    """One request that may be sent now; says afterwards how it went."""

    def __init__(self, pace: Pace, tokens: int, began: float) -> None:
        self._pace, self._tokens, self._began = pace, tokens, began

    def answered(self, tokens: int) -> None:
        """A good answer that took so many tokens: a little more at once, and the minute gets its unused tokens back."""
        pace = self._pace
        pace.limit = min(float(pace._most), pace.limit + 1 / pace.limit)
        pace._next_tokens += (tokens - self._tokens) * pace._a_token

    def pushed_back(self, retry_after: float | None) -> None:
        """The server asked for less. Requests that were sent before the last halving say nothing new."""
        pace, now = self._pace, self._pace._clock()
        if self._began > pace._slowed_at:
            pace.limit, pace._slowed_at = max(1.0, pace.limit / 2), now
        pace._not_before = max(pace._not_before, now + (retry_after or 0.0))
