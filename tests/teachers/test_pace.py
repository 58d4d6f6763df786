"""Pace on a clock of its own: no test waits."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.teachers.ratelimit.limiter import LONGEST_ASKED, LONGEST_WAIT, RateLimiter
from tests.waiting import PATIENCE


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def go_on() -> None:
    """Nothing stops us."""


async def most_at_once(pace: RateLimiter, count: int) -> int:
    most = now = 0

    async def one() -> None:
        nonlocal most, now
        async with pace.turn(1, go_on):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(one() for _ in range(count)))
    assert now == 0
    return most


@pytest.mark.parametrize("concurrency", [1, 4, 32])
def test_never_more_at_once_than_allowed(concurrency: int) -> None:
    assert asyncio.run(most_at_once(RateLimiter(concurrency), 100)) == concurrency


def test_a_push_back_halves_once_and_good_answers_win_it_back() -> None:
    async def body() -> None:
        clock = Clock()
        pace = RateLimiter(16, clock=clock, sleep=clock.sleep)
        async with pace.turn(1, go_on) as first, pace.turn(1, go_on) as second:
            clock.now += 1
            first.pushed_back(None)
            second.pushed_back(None)  # sent before the halving: says nothing new
        assert pace.limit == 8
        assert await most_at_once(pace, 50) == 8
        for _ in range(200):
            async with pace.turn(1, go_on) as turn:
                turn.answered(1)
        assert pace.limit == 16
        assert await most_at_once(pace, 50) == 16

    asyncio.run(body())


def test_it_never_falls_below_one() -> None:
    async def body() -> None:
        clock = Clock()
        pace = RateLimiter(2, clock=clock, sleep=clock.sleep)
        for _ in range(5):
            async with pace.turn(1, go_on) as turn:
                clock.now += 1
                turn.pushed_back(None)
        assert await most_at_once(pace, 5) == 1

    asyncio.run(body())


def test_retry_after_holds_everybody_back() -> None:
    async def body() -> None:
        clock = Clock()
        pace = RateLimiter(4, clock=clock, sleep=clock.sleep)
        async with pace.turn(1, go_on) as turn:
            turn.pushed_back(30.0)
        async with pace.turn(1, go_on):
            assert clock.now == pytest.approx(130.0)

    asyncio.run(body())


def test_requests_a_minute_are_spaced_evenly() -> None:
    async def body() -> None:
        clock, began = Clock(), []
        pace = RateLimiter(8, requests_per_minute=60, clock=clock, sleep=clock.sleep)
        for _ in range(10):
            async with pace.turn(1, go_on):
                began.append(clock.now)
        gaps = [after - before for before, after in pairwise(began)]
        assert gaps == pytest.approx([1.0] * 9)

    asyncio.run(body())


def test_tokens_a_minute_count_what_was_used_not_what_was_feared() -> None:
    async def took(used: int) -> float:
        clock = Clock()
        pace = RateLimiter(1, tokens_per_minute=6000, clock=clock, sleep=clock.sleep)
        for _ in range(10):
            async with pace.turn(1000, go_on) as turn:
                turn.answered(used)
        return clock.now - 100.0

    assert asyncio.run(took(1000)) == pytest.approx(90.0)
    assert asyncio.run(took(100)) == pytest.approx(9.0)


def test_one_wrong_figure_of_usage_does_not_stop_the_pace() -> None:
    async def waited(most: int | None) -> float:
        clock = Clock()
        pace = RateLimiter(4, tokens_per_minute=200_000, clock=clock, sleep=clock.sleep)
        async with pace.turn(500, go_on, most) as turn:
            turn.answered(2_000_000_000)
        for _ in range(50):
            async with pace.turn(500, go_on, most) as turn:
                turn.answered(500)
        return clock.now - 100.0

    assert asyncio.run(waited(2000)) < 10
    assert asyncio.run(waited(None)) < 2 * LONGEST_ASKED


def test_back_off_doubles_with_jitter_up_to_a_bound_and_obeys_the_server() -> None:
    async def waited(failures: int, retry_after: float | None, chance: float) -> float:
        clock = Clock()
        await RateLimiter(1, clock=clock, sleep=clock.sleep, chance=lambda: chance).rest(
            failures, retry_after, go_on
        )
        return clock.now - 100.0

    assert [asyncio.run(waited(n, None, 1.0)) for n in (1, 2, 3)] == pytest.approx([0.5, 1.0, 2.0])
    assert asyncio.run(waited(1, None, 0.0)) == pytest.approx(0.25)
    assert asyncio.run(waited(50, None, 1.0)) == pytest.approx(LONGEST_WAIT)
    assert asyncio.run(waited(1, 7.5, 1.0)) == pytest.approx(7.5)


def test_a_stop_is_heard_within_a_glance_of_any_wait() -> None:
    async def body() -> None:
        clock = Clock()
        pace = RateLimiter(1, requests_per_minute=1, clock=clock, sleep=clock.sleep)

        def go_on_for_a_second() -> None:
            if clock.now > 101.0:
                raise Stopped

        async with pace.turn(1, go_on):
            pass
        with pytest.raises(Stopped):
            async with pace.turn(1, go_on_for_a_second):
                raise AssertionError("a turn was given")
        with pytest.raises(Stopped):
            await pace.rest(9, None, go_on_for_a_second)
        assert clock.now < 102.0
        assert await most_at_once(RateLimiter(1), 3) == 1

    asyncio.run(body())


def test_a_cancelled_waiter_leaves_its_place_to_the_next() -> None:
    async def body() -> None:
        pace, done = RateLimiter(1), []

        async def one(number: int) -> None:
            async with pace.turn(1, go_on):
                await asyncio.sleep(0)
                done.append(number)

        async with pace.turn(1, go_on):
            tasks = [asyncio.ensure_future(one(number)) for number in range(4)]
            await asyncio.sleep(0)
            tasks[1].cancel()
        tasks[0].cancel()  # it was handed the turn in this very moment
        await asyncio.gather(*tasks, return_exceptions=True)
        assert done == [2, 3]

    asyncio.run(asyncio.wait_for(body(), PATIENCE))
