"""Metered over a teacher that is a real asyncio object and a ledger that is a real file."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget, ceiling_of
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.pricing.token_prices import Price, PriceTable, price_of
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from tests.ledger.rows import machine_time
from tests.waiting import PATIENCE, turns, when

DAY = date(2026, 11, 21)
MINI = price_of("gpt-4o-mini", DAY)
FREE = price_of("local", DAY, PriceTable.model_validate("free"))
USED = Usage(10, 0, 0, 5)
COST = MINI.cost(USED)

Outcome = Completion | Exception | None  # None: a plain good answer


@dataclass
class Scripted:
    """Answers by script, after some turns of the event loop; remembers what reached it."""

    script: Callable[[str, int], Outcome] = lambda text, attempt: None
    turns: Callable[[], int] = lambda: 3
    gate: asyncio.Event | None = None  # where given, an answer waits for it
    usage: Usage = USED
    identity: dict[str, Any] = field(default_factory=lambda: {"model": "gpt-4o-mini"})
    takes: frozenset[str] = frozenset({"max_tokens"})
    reached: list[str] = field(default_factory=list)
    in_flight: int = 0
    most: int = 0

    async def ask(self, request: Request, name: str = "") -> Completion:
        text = request.messages[0].content
        self.reached.append(text)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self.gate is not None:
                await self.gate.wait()
            for _ in range(self.turns()):
                await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        outcome = self.script(text, self.reached.count(text))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or Completion(f"reply to {text}", "stop", self.usage)


def question(text: str, limit: int = 20) -> Request:
    return Request((PromptMessage("user", text),), {"max_tokens": limit})


CEILING = ceiling_of(question("q"), MINI)


async def no_time(seconds: float) -> None:
    """A sleep that takes a turn of the loop: back-off is tested in test_pace."""
    await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


def metered(
    teacher: Scripted,
    journal: Journal,
    caps: Caps = Caps(),  # noqa: B008
    price: Price = MINI,
    concurrency: int = 4,
    stopping: Callable[[], bool] = lambda: False,
    run: str = "monday",
    attempts: int = 4,
    bills_dollars: bool | None = None,
) -> Metered:
    clock = iter(range(10**9))
    pace = RateLimiter(concurrency, clock=lambda: float(next(clock)), sleep=no_time)
    return Metered(
        teacher,
        journal=journal,
        price=price,
        caps=caps,
        recipe="alpaca",
        run=run,
        stage="generate",
        pace=pace,
        stopping=stopping,
        attempts=attempts,
        bills_dollars=bills_dollars,
    )


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def kinds(journal: Journal, request: Request, teacher: Scripted) -> list[str]:
    return [entry.kind for entry in journal.entries_of(request.key(teacher.identity))]


def test_half_a_character_in_a_failure_or_a_doubt_is_noted_and_stops_nothing(
    journal: Journal,
) -> None:
    teacher = Scripted(
        lambda text, attempt: (
            Failure("it said \ud83d", sent="refused", retry=True)
            if attempt == 1
            else Completion("a", "stop", USED, doubt="odd \ud83d")
        )
    )
    assert run(metered(teacher, journal).ask(question("q"))).text == "a"
    notes = [
        entry.note
        for entry in journal.entries_of(question("q").key(teacher.identity))
        if entry.note
    ]
    assert notes == ["it said \ufffd", "odd \ufffd"]


def test_a_reply_is_paid_once_and_then_free(journal: Journal) -> None:
    teacher = Scripted()

    async def body() -> None:
        teach = metered(teacher, journal)
        first, again = await teach.ask(question("q")), await teach.ask(question("q"))
        assert (first.text, first.from_store, again.text, again.from_store) == (
            "reply to q",
            False,
            "reply to q",
            True,
        )
        assert first.key == again.key == question("q").key(teacher.identity)
        assert teach.from_store == 1

    run(body())
    assert teacher.reached == ["q"]
    assert journal.totals() == Totals(settled=COST, requests=1, attempts=1)


def test_two_asks_at_once_send_once(journal: Journal) -> None:
    teacher = Scripted()

    async def body() -> None:
        teach = metered(teacher, journal)
        replies = await asyncio.gather(*(teach.ask(question("q")) for _ in range(5)))
        assert [reply.from_store for reply in replies] == [False, True, True, True, True]

    run(body())
    assert teacher.reached == ["q"] and journal.totals().settled == COST


def test_another_draw_of_the_same_question_is_another_request(journal: Journal) -> None:
    teacher = Scripted()

    async def body() -> None:
        teach = metered(teacher, journal)
        await asyncio.gather(
            *(
                teach.ask(Request(question("q").messages, {"max_tokens": 20}, draw))
                for draw in (0, 1)
            )
        )

    run(body())
    assert journal.totals().requests == 2


@pytest.mark.parametrize(
    ("failure", "end", "lost"),
    [
        (
            Failure("429 slow down", sent="refused", retry=True, slower=True),
            "released",
            0,
        ),  # 429s were billed elsewhere
        (
            Failure("503 busy", sent="refused", retry=True, slower=True, retry_after=1.0),
            "released",
            0,
        ),
        (Failure("could not connect", sent="no", retry=True), "released", 0),
        (Failure("timed out", sent="unknown", retry=True), "lost", CEILING),
    ],
)
def test_every_attempt_is_a_row_and_a_failure_is_tried_again(
    journal: Journal, failure: Failure, end: str, lost: int
) -> None:
    teacher = Scripted(lambda text, attempt: failure if attempt < 3 else None)
    run(metered(teacher, journal).ask(question("q")))
    assert kinds(journal, question("q"), teacher) == [
        "reserved",
        end,
        "reserved",
        end,
        "reserved",
        "settled",
    ]
    assert journal.totals() == Totals(settled=COST, lost=2 * lost, requests=1, attempts=3)
    assert journal.entries_of(question("q").key(teacher.identity))[1].note == failure.what


def test_a_terminal_answer_is_stored_and_never_asked_again(journal: Journal) -> None:
    teacher = Scripted(
        lambda text, attempt: None if text == "good" else Completion("", "refused", Usage())
    )

    async def body(*texts: str) -> list[str]:
        teach = metered(teacher, journal)
        return [(await teach.ask(question(text))).finish for text in texts]

    assert run(body("good", "q")) == ["stop", "refused"]
    assert run(body("q")) == ["refused"]
    assert run(body("good", "p")) == [
        "stop",
        "refused",
    ]  # a stored answer tells too that the teacher answers
    assert teacher.reached == ["good", "q", "p"]
    assert journal.totals() == Totals(settled=COST, requests=3, attempts=3)


def test_a_teacher_that_refuses_everything_is_a_mistake_and_nothing_is_stored(
    journal: Journal,
) -> None:
    teacher = Scripted(lambda text, attempt: Completion("unknown field 'topp'", "refused", Usage()))

    async def body() -> list[Any]:
        teach = metered(teacher, journal, concurrency=3)
        return await asyncio.gather(
            *(teach.ask(question(f"q{i}")) for i in range(5)), return_exceptions=True
        )

    results = run(body())
    assert [type(result) for result in results] == [Fatal] * 5
    assert "unknown field 'topp'" in results[0].what and "teacher.refuses" in results[0].cure
    assert sorted(teacher.reached) == ["q0", "q1", "q2"]
    assert (
        journal.totals() == Totals(attempts=3)
        and journal.stored(question("q0").key(teacher.identity)) is None
    )
    mended = Scripted()
    assert run(metered(mended, journal).ask(question("q0"))).text == "reply to q0"


def test_a_refusal_that_comes_first_waits_for_what_the_others_get(journal: Journal) -> None:
    """A 400 comes in milliseconds, an answer takes seconds."""
    refused = Completion("too long", "refused", Usage())
    turns = iter([1, 200, 200])
    teacher = Scripted(lambda text, attempt: refused if text == "q0" else None, lambda: next(turns))

    async def body() -> list[Any]:
        teach = metered(teacher, journal, concurrency=3)
        return await asyncio.gather(*(teach.ask(question(f"q{i}")) for i in range(3)))

    assert [reply.finish for reply in run(body())] == ["refused", "stop", "stop"]
    assert journal.totals() == Totals(settled=2 * COST, requests=3, attempts=3)


def test_of_two_runs_with_the_same_request_both_have_the_reply_that_was_stored_first(
    journal: Journal,
) -> None:
    async def body() -> list[Completion]:
        slow = Scripted(
            lambda text, attempt: Completion("late", "stop", USED), gate=asyncio.Event()
        )
        late = asyncio.ensure_future(metered(slow, journal, run="tuesday").ask(question("q")))
        await when(lambda: slow.in_flight)
        early = await metered(
            Scripted(lambda text, attempt: Completion("early", "stop", USED)), journal
        ).ask(question("q"))
        assert slow.gate is not None
        slow.gate.set()
        return [early, await late]

    early, late = run(body())
    assert early == late and late.text == "early" and not late.from_store  # both were paid for
    assert journal.totals().settled == 2 * COST


def test_a_truncated_reply_is_billed(journal: Journal) -> None:
    run(
        metered(Scripted(lambda text, attempt: Completion("half a", "length", USED)), journal).ask(
            question("q")
        )
    )
    assert journal.totals().settled == COST


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (Failure("500 broken", sent="refused", retry=True), 4),
        (Failure("418 teapot", sent="refused", retry=False), 1),
        (Failure("429 tomorrow", sent="refused", retry=True, retry_after=86_400.0), 1),
    ],
)
def test_giving_up_stops_the_run_and_is_never_a_hole(
    journal: Journal, failure: Failure, tries: int
) -> None:
    teacher = Scripted(lambda text, attempt: failure if text == "bad" else None)

    async def body() -> None:
        teach = metered(teacher, journal)
        with pytest.raises(
            UserError,
            match=f"the teacher failed at a request .*{failure.what}.* - run the same command",
        ):
            await teach.ask(question("bad"))
        with pytest.raises(UserError, match="the teacher failed"):
            await teach.ask(question("good"))

    run(body())
    assert teacher.reached == ["bad"] * tries


def test_fatal_stops_at_once_and_keeps_what_is_in_flight(journal: Journal) -> None:
    teacher = Scripted(
        lambda text, attempt: Fatal("the key is wrong", "check it") if text == "q0" else None
    )

    async def body() -> list[Any]:
        teach = metered(teacher, journal, concurrency=3)
        return await asyncio.gather(
            *(teach.ask(question(f"q{i}")) for i in range(10)), return_exceptions=True
        )

    results = run(body())
    assert sorted(teacher.reached) == ["q0", "q1", "q2"]
    assert [type(result) for result in results] == [Fatal, Completion, Completion] + [Fatal] * 7
    assert kinds(journal, question("q0"), teacher) == ["reserved", "released"]
    assert journal.totals() == Totals(settled=2 * COST, requests=2, attempts=3)


def test_cancelling_waits_for_what_is_in_flight_and_keeps_it(journal: Journal) -> None:
    async def body() -> Scripted:
        teacher = Scripted(gate=asyncio.Event())
        teach = metered(teacher, journal, concurrency=2)
        tasks = [asyncio.ensure_future(teach.ask(question(f"q{i}"))) for i in range(6)]
        await when(lambda: teacher.in_flight >= 2)
        for task in tasks:
            task.cancel()
        await when(tasks[5].done)
        assert not tasks[0].done()
        assert teacher.gate is not None
        teacher.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        return teacher

    assert sorted(run(body()).reached) == ["q0", "q1"]
    assert journal.totals() == Totals(settled=2 * COST, requests=2, attempts=2)


def test_a_cancelled_asker_does_not_take_the_reply_from_another(journal: Journal) -> None:
    async def body() -> None:
        teacher = Scripted(
            lambda text, attempt: (
                Failure("500", sent="refused", retry=True) if attempt < 3 else None
            )
        )
        teach = metered(teacher, journal)
        first, second = (asyncio.ensure_future(teach.ask(question("q"))) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).text == "reply to q"

    run(body())


def test_a_loop_that_dies_leaves_what_was_in_flight_lost(journal: Journal) -> None:
    async def body() -> None:
        teacher = Scripted(gate=asyncio.Event())
        asking = asyncio.ensure_future(metered(teacher, journal).ask(question("q")))
        await when(lambda: teacher.in_flight)
        asking.cancel()
        await turns()
        asking.cancel()  # the second Ctrl-C
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(body())
    machine_time(
        journal, "alpaca", "monday", "generate", 1.0
    )  # the writer is in order: what came before is there
    assert journal.totals().lost == CEILING and journal.totals().pending == 0


def test_a_stop_sends_nothing_new(journal: Journal) -> None:
    stop = False

    async def body() -> Scripted:
        nonlocal stop
        teacher = Scripted(gate=asyncio.Event())
        teach = metered(teacher, journal, concurrency=2, stopping=lambda: stop)
        tasks = [asyncio.ensure_future(teach.ask(question(f"q{i}"))) for i in range(6)]
        await when(lambda: teacher.in_flight >= 2)
        stop = True
        assert teacher.gate is not None
        teacher.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Completion] * 2 + [Stopped] * 4
        return teacher

    assert len(run(body()).reached) == 2


def test_a_reservation_that_does_not_fit_waits_for_the_others(journal: Journal) -> None:
    """The ceiling is far above the cost: one fits at a time, and all of them fit in the end."""
    teacher = Scripted()

    async def body() -> None:
        teach = metered(teacher, journal, Caps(api=CEILING + 4 * COST))
        await asyncio.gather(*(teach.ask(question(name)) for name in "abcde"))

    run(body())
    assert teacher.most == 1 and journal.totals().settled == 5 * COST


def test_over_budget_only_when_nothing_is_in_flight(journal: Journal) -> None:
    teacher = Scripted()

    async def body() -> list[Any]:
        teach = metered(teacher, journal, Caps(total=2 * CEILING, api=CEILING + 4 * COST))
        return await asyncio.gather(
            *(teach.ask(question(name)) for name in "abcdefgh"), return_exceptions=True
        )

    results = run(body())
    assert sum(isinstance(result, Completion) for result in results) == 5
    over = [result for result in results if isinstance(result, OverBudget)]
    assert len(over) == 3
    assert (
        "(budget.api) is reached" in over[0].what and "one more dollar buys about" in over[0].cure
    )
    assert over[0].short.open == 0


def test_a_raised_cap_goes_on_where_it_stopped(journal: Journal) -> None:
    teacher = Scripted()
    with pytest.raises(OverBudget):
        run(metered(teacher, journal, Caps(api=CEILING - 1)).ask(question("q")))
    assert teacher.reached == []
    assert (
        run(metered(teacher, journal, Caps(api=CEILING), run="tuesday").ask(question("q"))).text
        == "reply to q"
    )


def test_what_a_dead_run_left_open_does_not_make_us_wait(journal: Journal) -> None:
    journal.reserve(
        "r1-dead", 900_000, MINI, Caps(), recipe="alpaca", run="sunday", stage="generate"
    ).result()
    with pytest.raises(OverBudget, match="held by requests of another run"):
        run(metered(Scripted(), journal, Caps(api=900_000)).ask(question("q")))


def test_a_paid_request_without_a_limit_is_never_sent(journal: Journal) -> None:
    teacher = Scripted()
    with pytest.raises(UserError, match="no output limit"):
        run(metered(teacher, journal).ask(Request((PromptMessage("user", "q"),))))
    dropped = Scripted(takes=frozenset({"temperature"}))  # the limit would not reach the server
    with pytest.raises(UserError, match="no output limit"):
        run(metered(dropped, journal).ask(question("q")))
    assert not teacher.reached and not dropped.reached


def test_a_free_teacher_is_entered_at_zero(journal: Journal) -> None:
    run(
        metered(Scripted(), journal, Caps(total=0), FREE).ask(
            Request((PromptMessage("user", "q"),))
        )
    )
    assert journal.totals() == Totals(requests=1, attempts=1)


def test_a_reply_without_usage_is_never_free(journal: Journal) -> None:
    """litellm counted streamed replies at $0: 830 EUR billed, 1.47 USD shown."""
    teacher = Scripted(usage=Usage())
    run(metered(teacher, journal).ask(question("q")))
    assert journal.totals().settled == CEILING
    assert kinds(journal, question("q"), teacher) == ["reserved", "settled", "anomaly"]


def test_a_cost_above_the_ceiling_is_kept_and_stops_the_run(journal: Journal) -> None:
    teacher = Scripted(usage=Usage(10, 0, 0, 900))

    async def body() -> None:
        teach = metered(teacher, journal)
        with pytest.raises(UserError, match="more than its ceiling"):
            await teach.ask(question("q"))
        with pytest.raises(UserError, match="more than its ceiling"):
            await teach.ask(question("another"))

    run(body())
    assert teacher.reached == ["q"]
    assert journal.totals().settled == MINI.cost(teacher.usage)
    assert journal.stored(question("q").key(teacher.identity)) is not None


def test_a_full_disk_is_one_error_and_stops_the_asking(journal: Journal) -> None:
    teacher = Scripted(lambda text, attempt: Completion("x" * 100_000, "stop", USED))

    async def body() -> list[Any]:
        teach = metered(teacher, journal, concurrency=2)
        await teach.ask(question("q"))
        journal.write(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall()).result()
        return await asyncio.gather(
            *(teach.ask(question(f"q{i}")) for i in range(9)), return_exceptions=True
        )

    results = run(body())
    assert all(
        isinstance(result, UserError) and "the disk is full" in result.what for result in results
    )
    assert len(teacher.reached) <= 3
    journal.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall()).result()
    assert journal.stored(question("q").key(teacher.identity)) is not None
    journal.check()


def test_a_fault_of_ours_leaves_no_hold(journal: Journal) -> None:
    """Holds that leak: $805 held for $280 real."""
    with pytest.raises(ZeroDivisionError):
        run(
            metered(Scripted(lambda text, attempt: ZeroDivisionError()), journal).ask(question("q"))
        )
    machine_time(journal, "alpaca", "monday", "generate", 1.0)
    assert journal.totals() == Totals(lost=CEILING, attempts=1)


outcomes = st.sampled_from(["good", "good", "good", "free failure", "lost", "refused", "long"])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(outcomes, max_size=2), min_size=1, max_size=14),
    st.integers(1, 32),
    st.integers(0, 12),
    st.integers(0, 2**32),
)
@example(
    [["free failure", "refused"]], 2, 1, 0
)  # it was held for ever: the limit had fallen to one at once
def test_no_schedule_passes_the_cap(
    tmp_path_factory: pytest.TempPathFactory,
    plans: list[list[str]],
    concurrency: int,
    ceilings: int,
    chance: int,
) -> None:
    """Random failures, delays and caps: never above the cap, nothing sent twice, no hold left, sums to the nano-dollar."""
    dice = random.Random(chance)

    def script(text: str, attempt: int) -> Outcome:
        plan = plans[int(text[1:]) % len(plans)]
        seen.append(journal.totals())
        outcome = plan[attempt - 1] if attempt <= len(plan) else "good"
        return {
            "good": None,
            "refused": Completion("", "refused", Usage()),
            "long": Completion("and so on", "length", Usage(80, 10, 0, 15, 5)),
            "lost": Failure("timed out", sent="unknown", retry=True),
            "free failure": Failure("503", sent="refused", retry=True, slower=dice.random() < 0.3),
        }[outcome]

    async def body() -> list[Any]:
        teach = metered(teacher, journal, Caps(api=cap), concurrency=concurrency)
        asks = [
            teach.ask(question(f"q{i % (2 * len(plans))}")) for i in range(3 * len(plans))
        ]  # a third are repeats
        return await asyncio.gather(*asks, return_exceptions=True)

    cap, seen = ceilings * CEILING + dice.randrange(CEILING), []
    with Journal.open(tmp_path_factory.mktemp("l") / "ledger.sqlite") as journal:
        teacher = Scripted(script, lambda: dice.randrange(6))
        results = run(body())
        totals = journal.totals()
        assert all(isinstance(result, Completion | OverBudget | Fatal) for result in results)
        if any(isinstance(result, Fatal) for result in results):  # all that was asked was refused
            assert (
                not any(isinstance(result, Completion) for result in results)
                and totals.requests == 0
            )
        assert all(total.spent + total.open <= cap for total in [*seen, totals])
        assert totals.open == totals.pending == 0
        assert teacher.most <= concurrency
        entries = list(journal.entries())
        ends = [(entry.request, entry.kind) for entry in entries if entry.kind == "settled"]
        assert len(ends) == len(set(ends)) == totals.requests
        assert totals.attempts == len(teacher.reached)
        assert totals.settled == sum(
            MINI.cost(Usage(**entry.usage)) for entry in entries if entry.kind == "settled"
        )
        if any(isinstance(result, OverBudget) for result in results):
            assert (
                totals.spent + CEILING > cap - 2 * 150
            )  # one more would not have fitted (names differ by 2 bytes)
        journal.check()
