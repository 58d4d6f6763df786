"""Spent <= cap + one request's excess, at any concurrency, usage and kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.corrections import correct
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Fatal
from tests.attack.examples import some
from tests.teachers.test_metered import CEILING, MINI, USED, Scripted, metered, question
from tests.waiting import PATIENCE, when

REASONING = Usage(10, visible_out=20, reasoning_out=2_000)  # beside max_tokens 20
EXCESS = MINI.cost(REASONING) - CEILING


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


def runs(journal: Journal, teacher: Scripted, cap: int, *, times: int, concurrency: int) -> None:
    """The same forty questions, started so often."""
    for start in range(times):

        async def body(run: str) -> None:
            asking = metered(teacher, journal, Caps(api=cap), concurrency=concurrency, run=run)
            await asyncio.gather(
                *(asking.ask(question(f"q{number}")) for number in range(40)),
                return_exceptions=True,
            )

        asyncio.run(body(f"run {start}"))


def test_reasoning_beside_the_limit_passes_the_cap_by_one_request_at_most(journal: Journal) -> None:
    """$0.005 with 8 in flight, $0.0811 settled."""
    teacher = Scripted(usage=REASONING)
    cap = 8 * CEILING
    runs(journal, teacher, cap, times=4, concurrency=8)
    assert journal.totals().spent <= cap + EXCESS
    assert len(teacher.reached) * MINI.cost(REASONING) == journal.totals().spent  # and it is true


def test_what_a_teacher_takes_is_reserved_from_then_on_and_stops_no_second_run(
    journal: Journal,
) -> None:
    teacher = Scripted(usage=REASONING)
    runs(journal, teacher, 100 * MINI.cost(REASONING), times=1, concurrency=8)
    assert len(teacher.reached) == 1  # alone, and the run stopped
    runs(journal, teacher, 100 * MINI.cost(REASONING), times=1, concurrency=8)
    assert len(teacher.reached) == 40
    reserved = [e.nanodollars for e in journal.entries() if e.kind == "reserved"]
    assert {amount // 100_000 for amount in reserved[1:]} == {(CEILING + 2 * EXCESS) // 100_000}


def test_one_that_is_not_heard_yet_is_asked_alone_and_then_wider(journal: Journal) -> None:
    most: list[tuple[int, int]] = []
    teacher = Scripted(lambda text, attempt: most.append((len(most), teacher.in_flight)) or None)

    async def until_it_is_wide() -> None:
        """An answer waits until as many are asked as may be: 1, then 4, then more."""
        wide = (1, 4)[len(most)] if len(most) < 2 else 5
        await when(lambda: teacher.most > 4 or teacher.in_flight >= wide)

    teacher.gate = SimpleNamespace(wait=until_it_is_wide)  # type: ignore[assignment]
    runs(journal, teacher, 1000 * CEILING, times=1, concurrency=32)
    assert most[0] == (0, 0)
    assert all(at_once < max(1, 4 * ends) for ends, at_once in most)
    assert teacher.most > 4


def test_without_a_cap_nobody_waits(journal: Journal) -> None:
    async def body() -> None:
        teacher = Scripted(gate=asyncio.Event())
        asking = metered(teacher, journal, concurrency=32)
        asks = [asyncio.ensure_future(asking.ask(question(f"q{n}"))) for n in range(40)]
        await when(lambda: teacher.in_flight >= 32)
        assert teacher.gate is not None
        teacher.gate.set()
        await asyncio.gather(*asks)

    asyncio.run(asyncio.wait_for(body(), PATIENCE))


def test_a_first_question_that_is_refused_is_an_answer_where_the_next_one_is_answered(
    journal: Journal,
) -> None:
    refused = Completion("too long", "refused", Usage())
    teacher = Scripted(lambda text, attempt: refused if text in ("q0", "q1") else None)

    async def body(questions: int) -> list[Any]:
        asking = metered(teacher, journal, Caps(api=1000 * CEILING), concurrency=8)
        return await asyncio.gather(
            *(asking.ask(question(f"q{number}")) for number in range(questions)),
            return_exceptions=True,
        )

    ends = asyncio.run(body(6))
    assert [end.finish for end in ends] == ["refused", "refused", "stop", "stop", "stop", "stop"]


def test_a_teacher_that_refuses_everything_is_asked_no_more_than_the_concurrency(
    journal: Journal,
) -> None:
    teacher = Scripted(lambda text, attempt: Completion("no", "refused", Usage()))

    async def body() -> list[Any]:
        asking = metered(teacher, journal, Caps(api=1000 * CEILING), concurrency=3)
        return await asyncio.gather(
            *(asking.ask(question(f"q{number}")) for number in range(9)), return_exceptions=True
        )

    assert all(isinstance(end, Fatal) for end in asyncio.run(asyncio.wait_for(body(), PATIENCE)))
    assert len(teacher.reached) == 3 and journal.totals().spent == 0


usages = st.sampled_from([USED, USED, Usage(), Usage(10**9)]) | st.builds(
    Usage,
    uncached_in=st.integers(1, 200),
    visible_out=st.integers(1, 20),
    reasoning_out=st.sampled_from([0, 40, 500, 5_000, 5_000, 20_000, 10**9]),
)
bills = st.sampled_from([None, None, None, None, 0, CEILING // 2, 3 * CEILING, 10**15])


@some
@given(
    st.lists(
        st.tuples(usages, st.integers(0, 6), bills),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 64),
    st.integers(0, 20 * CEILING),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_no_usage_passes_a_cap_by_more_than_one_request(
    tmp_path_factory: pytest.TempPathFactory,
    replies: list[tuple[Usage, int, int | None]],
    concurrency: int,
    cap: int,
    kills: list[int],
) -> None:
    """kills: after so many turns of the loop a run ends with whatever is in flight, as on a second Ctrl-C."""

    def script(text: str, attempt: int) -> Completion:
        usage, _, billed = replies[int(text[1:]) % len(replies)]
        return Completion(text, "stop", usage, billed=billed)

    async def body(run: str, kill: int | None) -> None:
        asking = metered(teacher, journal, Caps(api=cap), concurrency=concurrency, run=run)
        tasks = [asyncio.ensure_future(asking.ask(question(f"q{n}"))) for n in range(len(replies))]
        if kill is None:
            await asyncio.gather(*tasks, return_exceptions=True)
            return
        for _ in range(kill):
            await asyncio.sleep(0)
        for asked in list(asking._asking.values()):  # the process is gone
            if asked.task is not None:
                asked.task.cancel()
        for task in tasks:
            task.cancel()

    with Journal.open(tmp_path_factory.mktemp("l") / "ledger.sqlite") as journal:
        teacher = Scripted(script, lambda: replies[len(teacher.reached) % len(replies)][1])
        for start, kill in enumerate([*kills, None, None]):
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(body(f"run {start}", kill))
            journal.recover("alpaca")
            journal.check()
        totals = journal.totals()
        excess = [
            entry.nanodollars - reserved[entry.request, entry.attempt]
            for reserved in [
                {
                    (e.request, e.attempt): e.nanodollars
                    for e in journal.entries()
                    if e.kind == "reserved"
                }
            ]
            for entry in journal.entries()
            if entry.kind == "settled"
        ]
        assert totals.spent + totals.open <= cap + max([0, *excess])
        assert totals.open == totals.pending == 0


# ---- what was not believed is put right by hand


def name_of(journal: Journal) -> str:
    return next(entry.name for entry in journal.entries() if entry.kind == "reserved")


def test_a_correction_is_a_row_of_its_own_with_reason_and_evidence(
    journal: Journal, tmp_path: Path
) -> None:
    absurd = Completion("text", "stop", Usage(10, visible_out=10**9))
    asyncio.run(metered(Scripted(lambda text, attempt: absurd), journal).ask(question("q")))
    before = [entry for entry in journal.entries()]
    invoice = tmp_path / "invoice.pdf"
    invoice.write_bytes(b"$600")
    done = correct(journal, name_of(journal), 600 * 10**9, "it is true", str(invoice))
    assert (done.before, done.now) == (CEILING, 600 * 10**9)
    assert list(journal.entries())[: len(before)] == before
    row = list(journal.entries())[-1]
    assert row.kind == "correction" and row.nanodollars == 600 * 10**9 - CEILING
    assert "it is true" in row.note and "invoice.pdf sha256" in row.note
    assert journal.totals().settled == 600 * 10**9
    again = correct(journal, before[0].request, 6 * 10**9, "no, it was $6", "invoice 7")
    assert (again.before, again.now) == (600 * 10**9, 6 * 10**9)
    last = correct(journal, before[0].request, 7 * 10**9, "no, it was $7", "invoice 8")
    assert (last.before, journal.totals().settled) == (6 * 10**9, 7 * 10**9)
    journal.check()


@pytest.mark.parametrize(
    ("named", "reason", "evidence", "says"),
    [
        ("r1-0", "x", "y", "is not an attempt"),
        ("../../x", "x", "y", "is not an attempt"),
        ("r1-" + "0" * 32, "x", "y", "has no billed attempt"),
        ("", " ", "y", "a correction has a reason"),
        ("", "x", "", "a correction has a reason"),
        ("", "the key was sk-abcdefgh12345678ijklmnop", "y", "holds a key"),
    ],
)
def test_a_correction_that_says_too_little_is_refused(
    journal: Journal, named: str, reason: str, evidence: str, says: str
) -> None:
    asyncio.run(metered(Scripted(), journal).ask(question("q")))
    rows = list(journal.entries())
    with pytest.raises(UserError, match=says):
        correct(journal, named or name_of(journal), 5, reason, evidence)
    assert list(journal.entries()) == rows


def test_what_was_lost_is_reconciled_by_hand(journal: Journal) -> None:
    attempt: Any = journal.reserve(
        "r1-" + "a" * 32, 900, MINI, Caps(), recipe="alpaca", run="r", stage="generate"
    ).result()
    with pytest.raises(UserError, match="has no billed attempt"):
        correct(journal, attempt.request, 5, "x", "y")
    with pytest.raises(UserError, match="is still open"):
        correct(journal, attempt.name, 5, "x", "y")
    journal.lose(attempt, "timed out").result()
    assert correct(journal, attempt.name, 5, "the bill names it", "bill 3").now == 5
    assert (journal.totals().settled, journal.totals().lost) == (5, 0)


def test_ledger_correct_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        asyncio.run(metered(Scripted(), journal).ask(question("q")))
        name = name_of(journal)
    told = ["--reason", "billed so", "--evidence", "bill 7", "--runs", str(tmp_path)]
    done = CliRunner().invoke(app, ["ledger", "correct", name, "--cost", "0.5", "--json", *told])
    assert done.exit_code == 0 and json.loads(done.stdout)["nanodollars"] == 500_000_000
    for cost, says in (
        ("1e99", "is not an amount"),
        ("nan", "is not an amount"),
        ("0.5", "already"),
    ):
        refused = CliRunner().invoke(app, ["ledger", "correct", name, "--cost", cost, *told])
        assert refused.exit_code != 0 and says in str(refused.exception)
