"""A paid teacher that takes requests and brings no reply: few are at risk, and the run ends with what they may cost. Real
servers in processes of their own; their books are held against ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.money import NANO, shown
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.teachers.ratelimit import circuit_breaker
from alpaca_pipe.teachers.ratelimit.circuit_breaker import PAID_PAUSES, PAUSES, CircuitBreaker
from alpaca_pipe.teachers.ratelimit.in_vain import FEW
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from tests.proving.start import Proving, proving
from tests.teachers.test_adapting import Load
from tests.teachers.virtual import run

AT_ONCE = 32


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


@pytest.fixture(autouse=True)
def no_pauses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses are told in virtual time, below; a real server need not be waited for."""
    monkeypatch.setattr(circuit_breaker, "PAID_PAUSES", (0.0,) * len(PAID_PAUSES))


def ask(
    server: Proving, journal: Journal, folder: Path, questions: int, of: str = "q", **keys: float
) -> tuple[list[Completion], UserError | None, list[str]]:
    """The replies to so many questions at once; or what ended them; and what was said meanwhile."""
    told: list[str] = []
    table = TeacherTable.model_validate(
        {
            "kind": "openai_chat",
            "model": "gpt-4o-mini",
            "base_url": server.url,
            "identity": "the proving server",
            "price": PriceTable.model_validate({"in": Decimal("0.15"), "out": Decimal("0.60")}),
            "concurrency": AT_ONCE,
            "timeout": 120.0,
            **keys,
        }
    )

    async def main() -> list[Completion]:
        async with connect(
            table,
            journal=journal,
            caps=Caps(api=NANO),
            recipe="r",
            run="monday",
            stage="generate",
            log=folder / "log",
            say=told.append,
        ) as teacher:
            asked = (
                Request((PromptMessage("user", f"{of} {number}"),), {"max_tokens": 200})
                for number in range(questions)
            )
            tasks = [asyncio.ensure_future(teacher.ask(one)) for one in asked]
            try:
                return list(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    try:
        return asyncio.run(main()), None, told
    except UserError as error:
        return [], error, told


@pytest.mark.parametrize("heard", [False, True], ids=["first run", "heard before"])
@pytest.mark.parametrize(
    ("fault", "keys", "words"),
    [
        ("hang_billed", {"timeout": 0.2, "max_attempts": 20}, "did not answer within 0.2 s"),
        ("malformed", {}, "something that is not a reply"),
        ("reset_billed", {}, "broke before the reply was whole"),
    ],
)
def test_few_are_at_risk_and_the_end_says_what_they_may_cost(
    tmp_path: Path, journal: Journal, fault: str, keys: dict[str, float], words: str, heard: bool
) -> None:
    with proving(tmp_path / "books.sqlite") as server:
        if heard:
            good, error, _ = ask(server, journal, tmp_path, 3 * AT_ONCE)
            assert len(good) == 3 * AT_ONCE and error is None
        before = server.state()["arrived"]
        server.weather(faults={fault: 1.0})
        _, error, told = ask(server, journal, tmp_path, 3 * AT_ONCE, of="other", **keys)
        arrived = server.state()["arrived"] - before
    lost = journal.totals("r", class_="api").lost
    assert arrived == FEW + len(PAID_PAUSES)
    assert error is not None and words in error.what
    assert f"{arrived} requests in a row brought no reply" in error.what
    assert f"up to {shown(lost)} may be billed" in error.what and lost > 0
    assert "ledger reconcile" in error.cure and "run the same command again" in error.cure
    assert [
        sentence for sentence in told if f"the last {FEW} requests brought no reply" in sentence
    ]


def test_a_server_that_comes_back_is_asked_on_and_nothing_is_missing(
    tmp_path: Path, journal: Journal
) -> None:
    with proving(tmp_path / "books.sqlite", script=("reset_billed",) * (FEW + 1)) as server:
        replies, error, told = ask(server, journal, tmp_path, 2 * AT_ONCE)
        assert server.state()["arrived"] == 2 * AT_ONCE + FEW + 1
    assert error is None and len(replies) == 2 * AT_ONCE
    assert told[-1] == "the teacher answers again"


def test_refused_requests_of_a_paid_teacher_are_no_reason_to_wait_for_ever(
    tmp_path: Path, journal: Journal
) -> None:
    """They are held until it is known what they mean; the few places of the start must not be theirs alone."""
    with proving(tmp_path / "books.sqlite", script=("400_odd",) * 3 * 2 * FEW, nature={}) as server:
        replies, error, _ = ask(server, journal, tmp_path, 3 * AT_ONCE)
    assert error is None and len(replies) == 3 * AT_ONCE


def test_one_request_that_fails_to_the_end_says_what_it_may_cost(
    tmp_path: Path, journal: Journal
) -> None:
    with proving(tmp_path / "books.sqlite", faults={"malformed": 1.0}) as server:
        _, error, _ = ask(server, journal, tmp_path, 1, max_attempts=3)
    lost = journal.totals("r", class_="api").lost
    assert error is not None and "3 times" in error.what
    assert f"up to {shown(lost)} may be billed" in error.what


# ---- in virtual time


class Paid(Load):
    """Every failure is one that may be billed, a cent each."""

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
                    turn.failed(how, {}, NANO // 100)


def paid(answer: Callable[[float], tuple[float, str]], seconds: float, most: int) -> Paid:
    async def main(clock: Callable[[], float]) -> Paid:
        def told(n: int) -> tuple[float, tuple[str, int]]:
            took, how = answer(clock())
            return took, (how, 100)

        pace = RateLimiter(most, clock=clock, careful=True)
        load = Paid(clock, pace, told)
        await load.over(seconds, 2 * most)
        return load

    return run(main)


@pytest.fixture
def real_pauses(monkeypatch: pytest.MonkeyPatch, no_pauses: None) -> None:
    monkeypatch.setattr(circuit_breaker, "PAID_PAUSES", PAID_PAUSES)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 64])
def test_from_the_start_a_handful_is_sent(most: int, real_pauses: None) -> None:
    load = paid(lambda now: (10.0, "hangs"), 600, most)
    assert load.attempts == FEW + len(PAID_PAUSES)
    assert len(load.ended) == 2 * most
    assert "up to $0.0700 may be billed" in str(load.ended[0])


def test_in_the_middle_those_in_flight_are_at_risk_and_hardly_one_more(real_pauses: None) -> None:
    load = paid(lambda now: (0.5, "ok") if now < 30 else (10.0, "hangs"), 900, 64)
    assert load.ended and load.attempts - load.answered < 64 + FEW + len(PAID_PAUSES)


def test_the_pauses_grow(real_pauses: None) -> None:
    breaker, now, waited = CircuitBreaker(careful=True), 0.0, []
    for _ in range(FEW):
        breaker.ended(False, False, now, "no answer", NANO)
    for _ in PAID_PAUSES:
        waited.append(breaker.wait(now))
        now += waited[-1]
        breaker.ended(False, breaker.sent(), now, "no answer", NANO)
    assert waited == pytest.approx(list(PAID_PAUSES))
    with pytest.raises(UserError, match="7 requests in a row"):
        breaker.wait(now)


def test_one_answer_from_before_the_pause_ends_it(real_pauses: None) -> None:
    """Four that took too long among many that did not: the next good one says so."""
    breaker = CircuitBreaker(careful=True)
    for _ in range(FEW):
        breaker.ended(False, False, 0.0, "no answer", NANO)
    assert breaker.wait(0.0) > 0
    breaker.ended(True, False, 1.0)
    assert breaker.wait(1.0) == 0


def test_who_answers_one_in_five_is_given_up_all_the_same(real_pauses: None) -> None:
    """Each answer ends a pause: without a memory that would go on until the money is gone."""
    answers = iter(range(10**6))
    load = paid(lambda now: (1.0, "ok" if next(answers) % (FEW + 1) == FEW else "hangs"), 3600, 64)
    assert load.ended and load.attempts - load.answered <= (FEW + 1) * (len(PAID_PAUSES) + 1)


def test_what_costs_nothing_is_no_matter_of_a_few() -> None:
    breaker = CircuitBreaker(careful=True)
    for _ in range(2 * FEW):
        breaker.ended(False, False, 0.0, "500")
    assert breaker.wait(0.0) == 0
    assert PAUSES  # those are for many failures


def test_a_healthy_paid_teacher_is_asked_in_full_after_its_first_answer(real_pauses: None) -> None:
    load = paid(lambda now: (2.0, "ok"), 60, 64)
    assert load.seen[0] == FEW and min(load.seen[2:]) == 64
