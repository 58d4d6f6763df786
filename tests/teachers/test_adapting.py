"""Concurrency that follows the server: push-backs, slowness, sustained failure; servers in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.ratelimit.circuit_breaker import PAUSES, CircuitBreaker
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from tests.teachers.virtual import run

Reply = tuple[str, int]  # "ok", "busy" or "down"; tokens written

MOST = 64  # requests at once


class Load:
    """Asks without end, so many at once as the pace lets; remembers how many were in flight, second by second."""

    def __init__(
        self,
        clock: Callable[[], float],
        pace: RateLimiter,
        answer: Callable[[int], tuple[float, Reply]],
    ) -> None:
        self.clock, self.pace, self.answer = clock, pace, answer
        self.in_flight = self.answered = self.attempts = 0
        self.seen: list[int] = []
        self.limits: list[float] = []

    async def over(self, seconds: float, workers: int) -> Load:
        until = self.clock() + seconds
        tasks = [asyncio.ensure_future(self._one()) for _ in range(workers)]
        await asyncio.sleep(0.37)  # not at the moments at which replies come
        while self.clock() < until and not all(task.done() for task in tasks):
            await asyncio.sleep(1.0)
            self.seen.append(self.in_flight)
            self.limits.append(self.pace.limit)
        for task in tasks:
            task.cancel()
        self.ended = [
            result
            for result in await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(result, Exception)
        ]
        return self

    async def _one(self) -> None:
        while True:
            async with self.pace.turn(100, lambda: None) as turn:
                self.in_flight += 1
                self.attempts += 1
                try:
                    seconds, (how, tokens) = self.answer(self.in_flight)
                    await asyncio.sleep(seconds)
                finally:
                    self.in_flight -= 1
                if how == "ok":
                    self.answered += 1
                    turn.answered(100, tokens)
                else:
                    turn.failed(how)
                    if how == "busy":
                        turn.pushed_back(None)
            if how != "ok":
                await asyncio.sleep(1.0)


def load(
    answer: Callable[[Callable[[], float], int], tuple[float, Reply]],
    seconds: float,
    most: int = MOST,
) -> Load:
    async def main(clock: Callable[[], float]) -> Load:
        return await Load(clock, RateLimiter(most, clock=clock), lambda n: answer(clock, n)).over(
            seconds, 2 * most
        )

    return run(main)


def test_at_a_steady_server_all_are_in_flight_all_the_time() -> None:
    dice = random.Random(0)
    for sigma in (0.0, 0.5, 1.0):  # of the logarithm of the latency
        result = load(
            lambda clock, n, sigma=sigma: (2 * dice.lognormvariate(0, sigma), ("ok", 100)), 120
        )
        assert min(result.seen) == MOST, f"sigma {sigma}: {min(result.seen)}"


def test_long_replies_are_not_taken_for_slowness() -> None:
    dice = random.Random(0)

    def answer(clock: Callable[[], float], n: int) -> tuple[float, Reply]:
        tokens = round(
            (50 if clock() < 100 else 800) * dice.lognormvariate(0, 0.6)
        )  # sixteen times as long from then on
        return 0.3 + tokens * 0.01 * dice.lognormvariate(0, 0.2), ("ok", tokens)

    assert min(load(answer, 300).seen) == MOST


def test_a_server_that_gets_slow_is_asked_less_and_when_it_is_well_again_as_before() -> None:
    dice = random.Random(0)

    def answer(clock: Callable[[], float], n: int) -> tuple[float, Reply]:
        slow = 10 if 60 <= clock() < 180 else 1
        return 0.5 * slow * dice.lognormvariate(0, 0.3), ("ok", 100)

    seen = load(answer, 300).seen
    assert min(seen[10:59]) == MOST
    assert max(seen[90:179]) <= MOST // 2 and min(seen[90:179]) > MOST // 4 - 1
    assert min(seen[200:]) == MOST


def test_a_server_that_stays_slow_is_asked_in_full_again_after_some_minutes() -> None:
    """What is usual is what it was in the last minutes; fewer at once would bring less for nothing."""
    seen = load(lambda clock, n: (0.5 if clock() < 60 else 3.0, ("ok", 100)), 900).seen
    assert max(seen[100:150]) <= MOST // 2
    assert min(seen[600:]) == MOST


def test_a_server_that_slows_down_under_load_does_not_make_it_swing() -> None:
    """Beside what 64 can do at once, requests queue: fewer bring as much; and it comes to rest."""
    seen = load(lambda clock, n: (0.5 * max(1.0, n / 64), ("ok", 100)), 600).seen
    assert max(seen[300:]) - min(seen[300:]) <= 32


@pytest.mark.parametrize("capacity", [10, 40])
def test_push_backs_bring_it_near_what_the_server_takes(capacity: int) -> None:
    result = load(
        lambda clock, n: (0.5, ("ok", 100)) if n <= capacity else (0.05, ("busy", 0)), 300
    )
    assert result.answered >= 0.85 * capacity * 300 / 0.5
    assert result.attempts <= 1.15 * result.answered


def test_push_backs_at_random_do_not_bring_it_down() -> None:
    """1 % of 429s that have nothing to do with the load: halving at each would leave ten at once."""
    dice = random.Random(0)
    result = load(lambda clock, n: (0.5, ("busy", 0) if dice.random() < 0.01 else ("ok", 100)), 120)
    assert sum(result.limits) / len(result.limits) > MOST * 0.6


def test_an_outage_is_waited_for_and_the_run_goes_on() -> None:
    said: list[str] = []

    async def main(clock: Callable[[], float]) -> Load:
        def answer(n: int) -> tuple[float, Reply]:
            return 0.5, ("down" if 20 < clock() < 50 else "ok", 100)

        return await Load(clock, RateLimiter(32, clock=clock, say=said.append), answer).over(
            120, 64
        )

    result = run(main)
    assert not result.ended and min(result.seen[90:]) == 32
    assert (
        result.attempts - result.answered <= 32 + 50 + 4
    )  # until it was clear, those in flight, a few probes
    assert (
        "failed at" in said[0]
        and "one request at a time" in said[0]
        and said[1] == "the teacher answers again"
    )


def test_an_outage_without_end_stops_the_run_with_a_sentence() -> None:
    result = load(lambda clock, n: (0.5, ("ok" if clock() < 10 else "down", 100)), 600, most=32)
    assert len(result.ended) == 64
    assert all(
        isinstance(error, UserError) and "fails again and again" in error.what
        for error in result.ended
    )
    assert result.attempts - result.answered <= 32 + 50 + len(PAUSES)


def test_a_share_of_failures_below_a_half_is_no_outage() -> None:
    dice = random.Random(0)
    result = load(lambda clock, n: (0.5, ("down" if dice.random() < 0.3 else "ok", 100)), 120)
    assert not result.ended and min(result.limits) == MOST


def test_a_probe_that_ends_without_a_word_lets_another_one_try() -> None:
    breaker = CircuitBreaker()
    for _ in range(20):
        breaker.ended(False, False, 0.0, "500")
    assert breaker.wait(1.0) == pytest.approx(PAUSES[0] - 1)
    assert breaker.wait(PAUSES[0]) == 0 and breaker.sent()
    assert breaker.wait(PAUSES[0]) > 0  # one at a time
    breaker.withdrawn(True)
    assert breaker.wait(PAUSES[0]) == 0 and breaker.sent()
    breaker.ended(True, False, 6.0)  # one that was sent before the pause proves nothing
    assert breaker.wait(6.0) > 0
    breaker.ended(True, True, 6.0)
    assert breaker.wait(6.0) == 0 and not breaker.sent()
