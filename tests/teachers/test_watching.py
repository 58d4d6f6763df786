"""What a metered teacher watches beside the money: its neighbours, four fifths of a budget, the disk, the served model."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.metering.budget_warning import BudgetWarning
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from tests.teachers.test_metered import CEILING, COST, MINI, USED, Scripted, kinds, question, run
from tests.waiting import turns, when


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


def metered(
    teacher: Any,
    journal: Journal,
    said: list[str],
    caps: Caps = Caps(),  # noqa: B008
    concurrency: int = 4,
    **more: Any,
) -> Metered:
    return Metered(
        teacher,
        journal=journal,
        price=MINI,
        caps=caps,
        recipe="alpaca",
        run="monday",
        stage="generate",
        pace=RateLimiter(concurrency, say=said.append),
        say=said.append,
        **more,
    )


class Gated(Scripted):
    """The bad one fails at once, the others answer when the gate opens."""

    async def ask(self, request: Any, name: str = "") -> Completion:
        if request.messages[0].content == "bad":
            await when(lambda: self.in_flight >= 3)
            raise self.error
        return await super().ask(request, name)

    error: Exception


@pytest.mark.parametrize(
    "error",
    [
        Failure("500", sent="refused", retry=False),
        Failure("cut", sent="unknown", retry=False),
        Fatal("wrong key", "fix it"),
    ],
)
def test_a_request_that_fails_for_good_costs_its_neighbours_nothing(
    journal: Journal, error: Exception
) -> None:
    """distilabel: one failed request turned its 49 paid neighbours into None."""

    async def body() -> Gated:
        teacher = Gated(gate=asyncio.Event())
        teacher.error = error
        teach = metered(teacher, journal, [], concurrency=4, attempts=1)
        opener = asyncio.create_task(opens_when_it_is_noted(teacher))
        with pytest.raises(BaseExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:  # as the rounds of generate ask
                for name in ("bad", "q1", "q2", "q3", "q4", "q5"):
                    group.create_task(teach.ask(question(name)))
        assert isinstance(caught.value.exceptions[0], UserError)
        await opener
        return teacher

    async def opens_when_it_is_noted(teacher: Gated) -> None:
        assert teacher.gate is not None
        await when(lambda: kinds(journal, question("bad"), teacher)[1:])
        await turns()
        teacher.gate.set()

    teacher = run(body())
    assert sorted(teacher.reached) == [
        "q1",
        "q2",
        "q3",
    ]  # in flight when it failed; q4 and q5 are not sent any more
    for name in ("q1", "q2", "q3"):
        assert kinds(journal, question(name), teacher) == ["reserved", "settled"]
    assert journal.totals().pending == 0 and journal.totals().settled == 3 * COST


def test_what_one_prompt_met_is_its_answer_and_the_others_go_on(journal: Journal) -> None:
    teacher = Scripted(
        lambda text, attempt: Completion("", "content_filter", Usage(9)) if text == "q2" else None
    )

    async def body() -> list[Completion]:
        teach = metered(teacher, journal, [])
        return await asyncio.gather(*(teach.ask(question(f"q{i}")) for i in range(5)))

    assert [reply.finish for reply in run(body())] == [
        "stop",
        "stop",
        "content_filter",
        "stop",
        "stop",
    ]
    assert journal.totals().requests == 5


def test_four_fifths_of_a_budget_are_said_once_when_they_are_owed(journal: Journal) -> None:
    """What is in flight is reserved at many times its cost, and is not used."""
    said: list[str] = []
    cap, at_once = 20 * CEILING, 18

    async def body() -> None:
        teach = metered(Scripted(), journal, said, Caps(api=cap), concurrency=at_once)
        await asyncio.gather(*(teach.ask(question(f"at once {i}")) for i in range(at_once)))
        assert not said and journal.totals().settled == at_once * COST < 0.8 * cap
        for i in range(17 * CEILING // COST + 2 - at_once):
            await teach.ask(question(f"q{i}"))
            assert not said or journal.totals().spent >= 0.8 * cap

    run(body())
    assert len(said) == 1
    assert said[0].startswith("80 % of budget.api (") and "settled" in said[0]


def test_a_small_cap_that_is_reached_before_four_fifths_are_owed_is_said_too(
    journal: Journal,
) -> None:
    said: list[str] = []

    async def body() -> None:
        teach = metered(Scripted(), journal, said, Caps(api=CEILING + COST // 2), concurrency=1)
        await teach.ask(question("q0"))
        with pytest.raises(OverBudget):
            await teach.ask(question("q1"))

    run(body())
    assert [one.partition(" (")[0] for one in said] == ["80 % of budget.api"]


def test_no_cap_is_looked_at_more_often_than_it_can_matter(journal: Journal) -> None:
    looks = 0

    class Counting(Journal):
        def totals(self, *args: Any, **named: Any) -> Any:
            nonlocal looks
            looks += 1
            return journal.totals(*args, **named)

    counting = Counting.__new__(Counting)
    near = BudgetWarning(
        counting,
        Caps(api=1000, total=5000, everywhere=Caps(total=9000)),
        "alpaca",
        lambda sentence: None,
    )
    for _ in range(2000):
        near.moved(1)
    assert looks == 3 * 2000 // 40
    BudgetWarning(counting, Caps(), "alpaca", lambda sentence: None).moved(10**9)
    assert looks == 3 * 2000 // 40


def test_a_changed_model_is_noted_with_its_reply_and_said(journal: Journal) -> None:
    def script(text: str, attempt: int) -> Completion:
        return Completion(
            "a",
            "stop",
            USED,
            model_said="gpt-4o-mini-2024-07-18" if text < "q3" else "gpt-4o-mini-x",
            fingerprint="fp",
        )

    said: list[str] = []
    teacher = Scripted(script)

    async def body() -> None:
        teach = metered(teacher, journal, said, model="gpt-4o-mini")
        for i in range(6):
            await teach.ask(question(f"q{i}"))

    run(body())
    assert said == [
        "the model that the server says it serves changed from 'gpt-4o-mini-2024-07-18' to 'gpt-4o-mini-x'"
    ]
    assert kinds(journal, question("q3"), teacher) == ["reserved", "settled", "anomaly"]
    assert [entry.note for entry in journal.entries() if entry.kind == "anomaly"] == said
    assert journal.totals().settled == 6 * COST


def test_a_resumed_run_knows_which_model_wrote_what_is_stored(journal: Journal) -> None:
    said: list[str] = []
    for run_, model in (("monday", "m-1"), ("tuesday", "m-2")):

        async def body(model: str = model) -> None:
            teach = metered(
                Scripted(lambda text, attempt: Completion("a", "stop", USED, model_said=model)),
                journal,
                said,
            )
            await teach.ask(question("q"))
            await teach.ask(question(model))

        assert run_ and run(body()) is None
    assert said == ["the model that the server says it serves changed from 'm-1' to 'm-2'"]


def test_the_providers_own_bill_is_settled_and_a_difference_noted(journal: Journal) -> None:
    teacher = Scripted(lambda text, attempt: Completion("a", "stop", USED, billed=7000))
    run(metered(teacher, journal, [], bills_dollars=True).ask(question("q")))
    assert journal.totals().settled == 7000
    entries = journal.entries_of(question("q").key(teacher.identity))
    assert [entry.kind for entry in entries] == [
        "reserved",
        "settled",
        "anomaly",
    ] and "bills 7,000" in entries[2].note


def test_a_bill_above_the_ceiling_is_kept_and_stops_the_run(journal: Journal) -> None:
    teacher = Scripted(lambda text, attempt: Completion("a", "stop", USED, billed=CEILING + 1))
    with pytest.raises(UserError, match="more than its ceiling"):
        run(metered(teacher, journal, [], bills_dollars=True).ask(question("q")))
    assert (
        journal.totals().settled == CEILING + 1
        and journal.stored(question("q").key(teacher.identity)) is not None
    )


def test_sending_stops_while_the_disk_still_holds_what_is_in_flight(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)],
            check=False,
            capture_output=True,
        ).returncode
    ):
        pytest.skip("mounting a tmpfs is not allowed here (needs root)")
    try:
        teacher = Scripted(
            lambda text, attempt: Completion("x" * 8000, "stop", Usage(10, visible_out=1000)),
            turns=lambda: 20,
        )

        async def body() -> list[Any]:
            teach = metered(teacher, journal, [], concurrency=16)
            return await asyncio.gather(
                *(teach.ask(question(f"q{i}", 1000)) for i in range(400)), return_exceptions=True
            )

        with Journal.open(small / "ledger.sqlite") as journal:
            results = run(body())
            kept = [result for result in results if isinstance(result, Completion)]
            errors = [result for result in results if not isinstance(result, Completion)]
            assert errors and all(
                isinstance(error, UserError) and "is almost full" in error.what for error in errors
            )
            assert len(kept) == len(teacher.reached) >= 16  # every one that was sent is stored
            assert journal.totals().lost == journal.totals().pending == 0
            (small / "x").write_bytes(
                b"x" * 1024
            )  # and there is room left for those who write beside us
            journal.check()
    finally:
        subprocess.run(["umount", str(small)], check=True)
