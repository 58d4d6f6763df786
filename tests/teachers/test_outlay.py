"""What short requests take: the slowest of pace and limits, of whatever kind they are; and how many are asked at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_config import outlay as judge_outlay
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.outlay import outlay_of
from alpaca_pipe.teachers.rounds import USUAL, at_once, together


def teacher(**more: Any) -> TeacherTable:
    return TeacherTable.model_validate(
        {
            "kind": "openai_chat",
            "model": "m",
            "base_url": "http://127.0.0.1:9/v1",
            "price": {"in": 1, "out": 2},
            "concurrency": 1000,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [({"requests_per_minute": 50}, 20.0), ({"tokens_per_minute": 10_000}, 15.0)],
)
def test_limits_say_how_long_it_takes(limit: dict[str, int], minutes: float) -> None:
    paid = outlay_of(teacher(**limit), 1000, 100, 50, None)
    assert paid.minutes.p50 == pytest.approx(minutes, rel=0.3)
    assert outlay_of(teacher(), 1000, 100, 50, None).minutes.p50 < minutes / 5
    assert paid.api.p50 == pytest.approx(1000 * (100 * 1e-6 + 50 * 2e-6) * 1e9, rel=0.2)


def test_a_judge_keeps_to_its_limits_in_the_forecast() -> None:
    """It was told by its pace alone: minutes where it takes hours."""
    slow = judge_outlay(Judging(teacher=teacher(requests_per_minute=10)), 300)
    assert slow.minutes.p50 >= 55


def test_a_batch_takes_what_it_can() -> None:
    assert at_once(teacher()) == USUAL
    batch = TeacherTable.model_validate(
        {"kind": "openai_batch", "model": "m", "price": {"in": 1, "out": 2}}
    )
    assert at_once(batch) == batch.batch_rules.most_requests > USUAL


def test_a_round_tells_of_each_reply_when_it_comes() -> None:
    """Not of all of them at its end: a round may be 2,048 requests, and what is paid for is seen on the way."""
    heard: list[int] = []

    async def body() -> list[Completion]:
        last = asyncio.Event()

        async def one(number: int) -> Completion:
            if number == 0:
                await last.wait()
                assert len(heard) >= 2
            elif number == 3:
                while len(heard) < 2:
                    await asyncio.sleep(0)
                last.set()
            return Completion(str(number), "stop", Usage())

        return await together([one(number) for number in range(4)], heard.append)

    assert [reply.text for reply in asyncio.run(body())] == ["0", "1", "2", "3"]
    assert heard == [1, 2, 3, 4]
