"""How fast we ask: so many at once, so many requests and tokens a minute, slower when the server pushes back or gets slow."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.ratelimit.circuit_breaker import CircuitBreaker
from alpaca_pipe.teachers.ratelimit.headers import Gauge, What, told
from alpaca_pipe.teachers.ratelimit.latency import SLOW, WELL, LatencyMonitor

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds of back-off after the first failure, and at most
LONGEST_ASKED = 600.0  # seconds; a server that wants us to wait longer is not there today
SAID_FROM, _SAID_AGAIN = (
    5.0,
    60.0,
)  # seconds of a wait that is told; until the same reason is told again
_GLANCE = 0.2  # seconds between two looks at whether to stop
_NAP = 0.02  # seconds of the first in line: an answer may give back tokens at any time
_AN_INSTANT = 1e-6  # seconds: less is rounding
_LAST = 8  # answers
_CAUGHT_UP = 1.0  # seconds of lateness that an even pace makes good; more is not owed to us
_OVERTAKES = 0.1  # seconds by which a request may overtake another one on the way
_GROWTH = 8  # a full round of good answers brings an eighth more at once; one more near where it was pushed back
_REMEMBERED = 60.0  # seconds for which the place of a push-back is known
_SLOWEST, _FEW = 4, 8  # slowness alone never goes below a quarter of the concurrency, nor below 8


class RateLimiter:
    """One for each teacher. Concurrency falls with the share of push-backs among the last answers (a half where all are
    pushed back: AIMD as in DCTCP, RFC 8257), and while replies take more than twice their usual time; a Retry-After
    holds everybody back. Rates of our own are spaced evenly, without bursts; limits that the server tells of are used to
    the last request, and a rate of our own gives way to one that is told and no higher.

    adapts: False where one request's speed or failure says nothing about the next one (batches).  careful: the teacher is
    paid, so few are in flight until it has answered (in_vain.py)."""

    def __init__(
        self,
        concurrency: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        *,
        adapts: bool = True,
        careful: bool = False,
        say: Callable[[str], None] = lambda sentence: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.most, self.limit = concurrency, float(concurrency)
        self._own: dict[What, _Spacing] = {}
        if requests_per_minute:
            self._own["requests"] = _Spacing(requests_per_minute)
        if tokens_per_minute:
            self._own["tokens"] = _Spacing(tokens_per_minute)
        self._told: dict[str, tuple[What, Gauge]] = {}
        self._adapts, self._slowness = adapts, LatencyMonitor()
        self._breaker = CircuitBreaker(say, careful=careful and adapts)
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._say, self._said = say, dict[str, float]()
        self._line = asyncio.Lock()  # whoever stands first decides when to go
        self._free: asyncio.Future[None] | None = (
            None  # the first one waits until fewer are in flight
        )
        self._in_flight = 0
        self._sent: dict[What, float] = {"requests": 0.0, "tokens": 0.0}
        self._lately: deque[tuple[float, dict[What, float]]] = (
            deque()
        )  # times of sending, and what was sent before each
        self._not_before = self._slowed_at = self._pushed_at = float("-inf")
        self._before_push = self._at_push = float(
            concurrency
        )  # the limit before the last push-back; where it began
        self._ends, self._pushed = 0, 0.0  # answers so far; share of push-backs among the last ones
        self._well = True

    def turn(self, tokens: int, go_on: Callable[[], None], most: int | None = None) -> Turn:
        """`async with` it: waits until one more request of about so many tokens, at `most`, may be sent. `go_on` raises
        when none should be. Raises UserError where the server or its limits are not there any more today."""
        return Turn(self, tokens, go_on, most)

    @property
    def limits(self) -> dict[str, Gauge]:
        """What the server has told of, by name: "requests a minute"."""
        return {name: gauge for name, (_, gauge) in self._told.items()}

    async def rest(
        self, failures: int, retry_after: float | None, go_on: Callable[[], None]
    ) -> None:
        """Waits after the n-th failure of a request: twice as long each time with jitter, at least `retry_after`."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
        wait = max(longest * (1 + self._chance()) / 2, retry_after or 0.0)
        asked = " - the server asks for that" if retry_after else ""
        self._tell(wait, f"until a failed request is sent again{asked}")
        until = self._clock() + wait
        while (wait := until - self._clock()) > 0:
            go_on()
            await self._sleep(min(wait, _GLANCE))

    # ---- waiting

    @property
    def _has_room(self) -> bool:
        return self._in_flight < self._breaker.room(int(self.limit))

    def _wake(self) -> None:
        if self._free is not None and not self._free.done() and self._has_room:
            self._free.set_result(None)

    async def _enter(self, turn: Turn) -> None:
        async with self._line:
            while True:
                turn.go_on()
                if not self._has_room:
                    self._free = asyncio.get_running_loop().create_future()
                    await self._free
                elif (waiting := self._wait(turn))[0] > _AN_INSTANT:
                    wait = waiting[0]
                    self._tell(*waiting)
                    await self._sleep(min(wait, _NAP))
                else:
                    break
            now = turn.began = self._clock()
            self._in_flight += 1
            turn.probe = self._breaker.sent()
            for what, spacing in self._own.items():
                turn.charged[what] = spacing.sent(turn.charge(what), now)
            for what, gauge in self._told.values():
                gauge.sent(turn.charge(what), now)
            self._lately.append((now, dict(self._sent)))
            while now - self._lately[0][0] > _OVERTAKES:
                self._lately.popleft()
            turn.sent_before = self._lately[0][1]
            self._sent["requests"] += 1
            self._sent["tokens"] += turn.tokens

    def _wait(self, turn: Turn) -> tuple[float, str]:
        """Seconds until this one may be sent, and for what."""
        now = self._clock()
        waits = [
            (self._not_before - now, "the server asks for that"),
            (self._breaker.wait(now), ""),
        ]
        for what, spacing in self._own.items():
            if not any(
                what == other and gauge.per_minute <= spacing.per_minute
                for other, gauge in self._told.values()
            ):
                each = f"the recipe's limit of {spacing.per_minute:,} {what} a minute"
                waits.append((spacing.next - now, each))
        for name, (what, gauge) in self._told.items():
            left = gauge.wait(turn.charge(what), now, idle=not self._in_flight)
            if left > LONGEST_ASKED:
                raise UserError(
                    f"the provider's limit of {gauge.limit:,.0f} {name} is used up for the next "
                    f"{left / 3600:.1f} hours",
                    "run the same command again then: every stored reply is kept",
                )
            waits.append((left, f"the provider's limit of {gauge.limit:,.0f} {name} is used up"))
        return max(waits)

    def _tell(self, wait: float, why: str) -> None:
        """Nobody waits longer than SAID_FROM without knowing for what; the breaker speaks for itself."""
        now = self._clock()
        if why and wait > SAID_FROM and now - self._said.get(why, float("-inf")) > _SAID_AGAIN:
            self._said[why] = now
            self._say(f"waiting {wait:.0f} s: {why}")

    def _leave(self, turn: Turn) -> None:
        self._in_flight -= 1
        self._breaker.withdrawn(turn.probe)
        self._wake()

    # ---- hearing

    def _hear(self, turn: Turn, headers: Mapping[str, str]) -> None:
        now = self._clock()
        for name, what, reading in told(headers):
            if name not in self._told:
                self._told[name] = (what, Gauge(reading, now))
            since = self._sent[what] - turn.sent_before.get(what, 0.0) - turn.charge(what)
            self._told[name][1].heard(reading, since, turn.began, now)

    def _ended(self, turn: Turn, pushed: bool) -> None:
        self._ends += 1
        self._pushed += (pushed - self._pushed) / min(self._ends, max(1.0, self.limit))

    def _pushed_back(self, turn: Turn) -> None:
        """Requests that were sent before the last push-back add to its share, and say nothing else."""
        if turn.began > self._pushed_at:
            self._before_push, self._pushed_at = self.limit, self._clock()
        self.limit = max(1.0, min(self.limit, self._before_push * (1 - self._pushed / 2)))
        self._at_push = self._before_push

    def _well_answered(self, turn: Turn, tokens_out: int) -> None:
        now = self._clock()
        if (
            tokens_out and turn.began > self._slowed_at
        ):  # a refusal is quick, and says nothing about speed
            self._slowness.answered(now - turn.began, tokens_out, now)
        times = self._slowness.verdict(int(self.limit))
        if times is not None:
            self._well = times < (WELL if not self._well else SLOW)
            least = max(_FEW, self.most // _SLOWEST)
            if times > SLOW and self.limit > least:
                self.limit, self._slowed_at = max(least, self.limit * max(0.5, SLOW / times)), now
                self._slowness.forget_round()
        if self._well:
            near = now - self._pushed_at < _REMEMBERED and self.limit > 0.9 * self._at_push
            self.limit = min(
                float(self.most),
                self.limit + (1.0 if near else max(1.0, self.limit / _GROWTH)) / self.limit,
            )


class Turn:
    """One request that may be sent now; says afterwards how it went."""

    began = 0.0
    probe = False
    sent_before: Mapping[What, float] = {}

    def __init__(
        self, pace: RateLimiter, tokens: int, go_on: Callable[[], None], most: int | None = None
    ) -> None:
        self._pace, self.tokens, self.go_on, self.most = pace, tokens, go_on, most
        self.charged: dict[What, float] = {}  # by rates of our own

    async def __aenter__(self) -> Self:
        await self._pace._enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pace._leave(self)

    def charge(self, what: What) -> float:
        return 1.0 if what == "requests" else self.tokens

    def _as_probe(self) -> bool:
        """Whether it is one that the breaker waits for. It is told once: the next may be sent before this one has left."""
        probe, self.probe = self.probe, False
        return probe

    def answered(self, tokens: int, tokens_out: int = 0, limits: Mapping[str, str] = {}) -> None:
        """A good answer that took so many tokens, `tokens_out` of them written. limits: headers that came with it."""
        pace = self._pace
        pace._ended(self, False)
        if "tokens" in pace._own:
            possible = tokens if self.most is None else min(tokens, self.most)
            pace._own["tokens"].used(self.tokens, self.charged["tokens"], possible)
        if limits:
            pace._hear(self, limits)
        if pace._adapts:
            pace._breaker.ended(True, self._as_probe(), pace._clock())
            pace._well_answered(self, tokens_out)

    def refused(self) -> None:
        """It refused this one: an answer, whatever it comes to mean, and no cost."""
        if self._pace._adapts:
            self._pace._breaker.spoke(self._as_probe())
            self._pace._wake()

    def failed(self, why: str, limits: Mapping[str, str] = {}, lost: int = 0) -> None:
        """No reply, for whatever reason. lost: nano-dollars that it may be billed all the same."""
        pace = self._pace
        if limits:
            pace._hear(self, limits)
        if pace._adapts:
            pace._breaker.ended(False, self._as_probe(), pace._clock(), why, lost)

    def pushed_back(self, retry_after: float | None) -> None:
        """The server asked for less."""
        pace = self._pace
        pace._ended(self, True)
        pace._pushed_back(self)
        pace._not_before = max(pace._not_before, pace._clock() + (retry_after or 0.0))
        own = pace._own.get("tokens")
        if (
            own and not pace._told and own.next > pace._clock()
        ):  # we kept to it: it counts what was asked for, not used
            own.share, own.gives_back = 1.0, False


class _Spacing:
    """So much a minute, evenly."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.next = float("-inf")
        self.share = 1.0  # of what was asked for, what the last ones used
        self.gives_back = True  # what was not used counts for nothing

    def sent(self, asked: float, now: float) -> float:
        """Answers what was charged."""
        charged = asked * self.share
        late = now - self.next
        self.next = (self.next if late < _CAUGHT_UP else now) + charged * 60 / self.per_minute
        return charged

    def used(self, asked: float, charged: float, used: float) -> None:
        """One answer holds the next ones back for LONGEST_ASKED at most, whatever it says that it used."""
        used = min(used, charged + LONGEST_ASKED * self.per_minute / 60)
        if self.gives_back:
            self.next += (used - charged) * 60 / self.per_minute
            self.share += (used / max(1.0, asked) - self.share) / _LAST
