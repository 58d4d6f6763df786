"""Rate limits as servers tell of them, and how much of them is used: servers of each kind in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.ratelimit.headers import Gauge, Reading, seconds, told
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from tests.teachers.virtual import run


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-limit-tokens": "200000",
                "x-ratelimit-remaining-tokens": "199000",
                "x-ratelimit-reset-tokens": "1m0.3s",
            },
            {
                "requests a minute": Reading(500, 499, 0.12, None),
                "tokens a minute": Reading(200_000, 199_000, 60.3, None),
            },
        ),
        (
            {
                "x-ratelimit-limit-requests-day": "14400",
                "x-ratelimit-remaining-requests-day": "14399",
                "x-ratelimit-reset-requests-day": "33011.5",
                "x-ratelimit-limit-tokens-minute": "60000",
                "x-ratelimit-remaining-tokens-minute": "59000",
                "x-ratelimit-reset-tokens-minute": "11.5",
            },  # Cerebras
            {
                "requests a day": Reading(14_400, 14_399, 33011.5, 86_400.0),
                "tokens a minute": Reading(60_000, 59_000, 11.5, 60.0),
            },
        ),
        (
            {
                "x-ratelimit-limit-tokens-minute": "5000000",
                "x-ratelimit-remaining-tokens-minute": "4999911",
                "x-ratelimit-tokens-query-cost": "52",
                "x-ratelimit-limit-req-minute": "720",
                "x-ratelimit-remaining-req-minute": "717",
            },  # Mistral
            {
                "requests a minute": Reading(720, 717, None, 60.0),
                "tokens a minute": Reading(5_000_000, 4_999_911, None, 60.0),
            },
        ),
        (
            {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"},
            {"requests a minute": Reading(20, 0, None, None)},
        ),
        (
            {"RateLimit-Limit": "100", "RateLimit-Remaining": "9", "RateLimit-Reset": "6"},
            {"requests a minute": Reading(100, 9, 6.0, None, True)},
        ),
        (
            {"x-tokenlimit-limit": "3000", "x-tokenlimit-remaining": "2000"},
            {"tokens a minute": Reading(3000, 2000, None, None)},
        ),
        (
            {"x-rate-limit-limit": "10", "x-rate-limit-remaining": "3"},
            {"requests a minute": Reading(10, 3, None, None)},
        ),
        (
            {
                "x-ratelimit-limit-tokens_usage_based": "160000",
                "x-ratelimit-remaining-tokens_usage_based": "1",
            },
            {},
        ),
        ({"x-ratelimit-remaining-requests": "3"}, {}),  # Azure, at times: a rest without its limit
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}, {}),
        ({"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "nan"}, {}),
        ({"x-limit": "3", "content-type": "text/html"}, {}),
    ],
)
def test_the_spellings_of_several_providers(
    headers: dict[str, str], expected: dict[str, Reading]
) -> None:
    assert {name: reading for name, _, reading in told(headers)} == expected


def test_a_reset_may_be_a_date_or_a_time_since_1970() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    for said in (
        later.isoformat(),
        later.isoformat().replace("+00:00", "Z"),
        str(later.timestamp()),
        str(int(later.timestamp() * 1000)),
    ):
        assert seconds(said) == pytest.approx(90, abs=60), said  # this machine may pause
    assert seconds("2h30m0.5s") == 9000.5
    assert (seconds("soon"), seconds(""), seconds(None), seconds(str(time.time() - 50))) == (
        None,
        None,
        None,
        0.0,
    )


@given(st.text(max_size=30))
def test_no_spelling_breaks_us(text: str) -> None:
    assert (seconds(text) or 0) >= 0
    list(told({"x-ratelimit-limit-requests": text, "x-ratelimit-remaining-requests": text}))


def test_what_was_sent_since_is_taken_off_and_what_comes_back_is_added() -> None:
    gauge = Gauge(Reading(60, 60, None, None), 0.0)
    gauge.heard(Reading(60, 40, 20.0, None), 10, 0.0, 0.0)
    assert gauge.wait(1, 0.0) == 0 and gauge.left == 30
    gauge.sent(30, 0.0)
    assert gauge.wait(1, 0.0) == pytest.approx(1.3)  # one a second, and a little is left alone
    assert gauge.wait(1, 1.3) == 0


def test_a_limit_of_a_day_is_told_from_one_of_a_minute_by_its_reset() -> None:
    day = Gauge(
        Reading(14_400, 14_399, 6.0, None), 0.0
    )  # Groq: x-ratelimit-limit-requests is of a day
    day.heard(Reading(14_400, 14_370, 180.0, None), 0, 0.0, 0.0)
    assert day.window == 86_400
    minute = Gauge(Reading(10_000, 9_999, 0.006, None), 0.0)
    minute.heard(Reading(10_000, 9_999, 0.006, None), 0, 0.0, 0.0)
    assert minute.window == 60


@dataclass
class Server:
    """A server with limits, in virtual time. kind: bucket (fills evenly) or window (all comes back on the minute).
    counts: "asked" for good, or "used" after the reply. early: headers are written when the request is let in."""

    clock: Callable[[], float]
    kind: str
    counts: str
    early: bool
    latency: float
    requests: float = 500
    tokens: float = 200_000
    whole: bool = False
    silent: bool = False

    def __post_init__(self) -> None:
        self.left = {"requests": self.requests, "tokens": self.tokens}
        self.at = self.clock()
        self.refused = self.let_in = 0
        self.charged = 0.0

    def _fill(self) -> None:
        now = self.clock()
        for what, limit in (("requests", self.requests), ("tokens", self.tokens)):
            if self.kind == "bucket":
                self.left[what] = min(limit, self.left[what] + (now - self.at) * limit / 60)
            elif int(now / 60) > int(self.at / 60):
                self.left[what] = limit
        self.at = now

    def headers(self) -> dict[str, str]:
        self._fill()
        said = {}
        for what, limit in (("requests", self.requests), ("tokens", self.tokens)):
            reset = (
                (limit - self.left[what]) * 60 / limit
                if self.kind == "bucket"
                else 60 - self.clock() % 60
            )
            said |= {
                f"x-ratelimit-limit-{what}": f"{limit:.0f}",
                f"x-ratelimit-remaining-{what}": str(math.floor(self.left[what])),
                f"x-ratelimit-reset-{what}": str(int(reset)) if self.whole else f"{reset:.3f}s",
            }
        return {} if self.silent else said

    async def ask(self, asked: int, used: int) -> tuple[bool, float, dict[str, str]]:
        """(let in, seconds to wait, headers)"""
        await asyncio.sleep(0.02)  # the way there
        self._fill()
        if self.left["requests"] < 1 or self.left["tokens"] < asked:
            self.refused += 1
            short = (
                max(
                    (1 - self.left["requests"]) / self.requests,
                    (asked - self.left["tokens"]) / self.tokens,
                )
                * 60
            )
            return False, short if self.kind == "bucket" else 60 - self.clock() % 60, self.headers()
        self.let_in += 1
        self.left["requests"] -= 1
        self.left["tokens"] -= asked
        self.charged += asked
        headers = self.headers() if self.early else {}
        await asyncio.sleep(self.latency)
        self._fill()
        if self.counts == "used":
            self.left["tokens"] = min(self.tokens, self.left["tokens"] + asked - used)
            self.charged += used - asked
        return True, 0.0, headers or self.headers()


async def drive(
    server: Server, pace: RateLimiter, minutes: float, concurrency: int, asked: int, used: int
) -> None:
    until = server.clock() + minutes * 60
    dice = random.Random(1)

    def go_on() -> None:
        if server.clock() >= until:
            raise asyncio.CancelledError

    async def one() -> None:
        while True:
            size = round(asked * dice.uniform(0.8, 1.2))
            async with pace.turn(size, go_on) as turn:
                good, wait, headers = await server.ask(size, round(used * dice.uniform(0.5, 1.5)))
                if good:
                    turn.answered(used, used, headers)
                else:
                    turn.failed("429", headers)
                    turn.pushed_back(wait)

    await asyncio.gather(*(one() for _ in range(concurrency)), return_exceptions=True)


SERVERS = [
    ("bucket", "asked", False, False),
    ("bucket", "asked", True, False),
    ("bucket", "used", False, False),
    ("bucket", "asked", False, True),
    ("window", "asked", False, False),
    ("window", "asked", True, True),
]
EACH = [  # asked 380: the requests' limit binds; 800: the tokens'. Each server is met every day, each way to ask too.
    pytest.param(*server, latency, asked, marks=() if (place + way) % 4 == 0 else pytest.mark.slow)
    for place, server in enumerate(SERVERS)
    for way, (latency, asked) in enumerate(product((0.5, 5.0), (380, 800)))
]


@pytest.mark.parametrize(("kind", "counts", "early", "whole", "latency", "asked"), EACH)
def test_the_limit_that_a_server_tells_is_used_to_the_last_and_not_passed(
    kind: str, counts: str, early: bool, whole: bool, latency: float, asked: int
) -> None:
    """At least 97 % of the tokens (or requests) that are allowed, at most 0.5 % refused."""
    minutes = 5.0

    async def main(clock: Callable[[], float]) -> Server:
        server = Server(clock, kind, counts, early, latency, whole=whole)
        pace = RateLimiter(128, clock=clock)
        await drive(server, pace, minutes, 128, asked, asked if counts == "asked" else asked // 2)
        return server

    server = run(main)
    allowed = minutes + (kind == "bucket")  # a bucket is full at the start
    on_their_way = 128 / 2 if counts == "used" and latency > 1 else 0  # is left unused, once
    used = max(
        (server.charged + on_their_way * asked) / (server.tokens * allowed),
        server.let_in / (server.requests * allowed),
    )
    assert used >= 0.97, f"{used:.1%} used"
    assert server.refused <= 0.005 * server.let_in, f"{server.refused} of {server.let_in} refused"


@pytest.mark.parametrize("counts", ["asked", "used"])
def test_rates_of_the_recipe_alone_keep_to_a_server_that_tells_nothing(counts: str) -> None:
    async def main(clock: Callable[[], float]) -> Server:
        server = Server(clock, "bucket", counts, False, 0.5, silent=True)
        pace = RateLimiter(64, 500, 200_000, clock=clock)
        await drive(server, pace, 5.0, 64, 800, 400)
        return server

    server = run(main)
    assert server.charged >= 0.97 * 5 * server.tokens
    assert server.refused <= 0.005 * server.let_in + 3, (
        f"{server.refused} of {server.let_in} refused"
    )


def test_a_rate_of_the_recipe_below_the_servers_limit_holds() -> None:
    async def main(clock: Callable[[], float]) -> Server:
        server = Server(clock, "bucket", "asked", False, 0.5)
        await drive(server, RateLimiter(64, 100, clock=clock), 5.0, 64, 100, 100)
        return server

    assert run(main).let_in == pytest.approx(500, abs=5)


def test_a_limit_that_comes_back_tomorrow_stops_the_run_with_a_sentence() -> None:
    async def main(clock: Callable[[], float]) -> None:
        pace = RateLimiter(4, clock=clock)
        async with pace.turn(10, lambda: None) as turn:
            turn.answered(
                10,
                5,
                {
                    "x-ratelimit-limit-requests-day": "200",
                    "x-ratelimit-remaining-requests-day": "0",
                    "x-ratelimit-reset-requests-day": "18000",
                },
            )
        async with pace.turn(10, lambda: None):
            raise AssertionError("sent")

    with pytest.raises(
        UserError, match="limit of 200 requests a day is used up for the next 5.0 hours"
    ):
        run(main)
