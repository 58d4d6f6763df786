"""What a batch must survive without a hang, a key in the books, or a request that was billed and counted as free."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps, ceiling_of
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.batch.batch_client import BatchClient
from alpaca_pipe.teachers.batch.batch_desk import pick_up
from alpaca_pipe.teachers.batch.batcher import Batcher, Rules
from alpaca_pipe.teachers.batch.waiting import BatchWaiting
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.openai.chat_dialect import CHAT
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import http_client
from tests.teachers.test_batch import WORDS, Runs, cache, desk, journal, question, server, stop_when
from tests.waiting import PATIENCE, too_late

__all__ = ["cache", "desk", "journal", "server"]
KEY = "sk-proj-abcdefghijklmnop1234567890"


@asynccontextmanager
async def a_desk(
    runs: Runs, takes: frozenset[str] = frozenset({"max_tokens"})
) -> AsyncIterator[Batcher]:
    """Of a later run at the same server, whose teacher takes these fields."""
    table = runs.table()
    async with http_client(table.address) as client:
        office = BatchClient(
            HttpConnection(client, table.address, "m", "none-at-all", 10, takes, CHAT)
        )
        async with Batcher(
            office,
            BatchJobs(runs.journal),
            table.identity(),
            Rules(poll=0.1, most_requests=12),
            BatchWaiting(too_late(), runs.said.append),
            address=table.address,
            recipe="r",
            run="later",
            stage="generate",
        ) as desk:
            yield desk


def test_files_that_wait_in_line_do_not_hold_up_the_one_before_them(desk: Runs) -> None:
    """A file is refused for a full queue while the next ones wait for their turn after it."""
    desk.server.faults(room=1, seconds=0.6)
    assert desk.run(WORDS[:4], stopping=too_late()) == WORDS[:4]
    desk.sound()


def test_who_waits_for_budget_hears_that_the_desk_has_closed(desk: Runs) -> None:
    """What is with the provider stays open and may come to less: without a word they would wait for that for ever."""
    desk.server.faults(poll_denied=1)
    room = 5 * ceiling_of(question("q" * 80), desk.table().priced())
    [error] = desk.run(WORDS, Caps(api=room))
    assert isinstance(error, Fatal) and "does not accept the key" in error.what
    desk.written()
    assert 0 < desk.journal.totals("r").pending < len(WORDS)
    assert desk.run(WORDS, Caps(api=10 * room)) == WORDS
    assert desk.billed() == Counter(WORDS)
    desk.sound()


def test_a_provider_that_was_never_reached_is_given_up_within_seconds(desk: Runs) -> None:
    errors = desk.run(WORDS[:2], base_url="http://127.0.0.1:9/v1")
    assert {str(error) for error in errors} == {str(errors[0])}
    assert "cannot be reached (ClientConnectorError) (3 times)" in str(errors[0])
    assert desk.journal.totals("r").lost == 0


def test_batches_that_get_smaller_as_the_cap_nears_are_explained_once(desk: Runs) -> None:
    room = 5 * ceiling_of(question("q" * 80), desk.table().priced())
    assert desk.run(WORDS, Caps(api=room)) == WORDS
    sizes = [batch["request_counts"]["total"] for batch in desk.server.books()["batches"]]
    assert sizes[-desk.of("creates") :][0] < len(WORDS)
    [sentence] = [said for said in desk.said if "no room for more requests at once" in said]
    assert "budget.api" in sentence
    desk.sound()


def test_files_grow_again_after_full_ones_were_taken(desk: Runs) -> None:
    said: list[int] = []

    async def main() -> None:
        async with a_desk(desk) as own:
            own._most = 2
            for requests in (1, 2, 4, 4, 8, 8, 8, 8):
                own._larger(requests)
                said.append(own._most)

    asyncio.run(main())
    assert said == [2, 4, 4, 8, 8, 8, 8, 12]


@pytest.mark.parametrize(
    "key", [KEY, "azure0123456789abcdef"]
)  # the second looks like no key, and is ours
def test_a_key_that_the_provider_quotes_reaches_neither_screen_nor_ledger(
    desk: Runs, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_KEY", key)
    desk.server.faults(fail=1, says=f"Incorrect API key provided: {key}. " + "It is long. " * 50)
    errors = desk.run(WORDS, api_key_env="BATCH_KEY")
    assert all(
        isinstance(error, Fatal) and "Incorrect API key provided: [key]" in error.what
        for error in errors
    )
    assert errors[0].what.endswith("(and 1 more)")
    desk.written()
    books = b"".join(
        path.read_bytes() for path in desk.journal.path.parent.glob(f"{desk.journal.path.name}*")
    )
    seen = "\n".join(
        [*desk.said, *map(str, errors), *(entry.note for entry in desk.journal.entries())]
    )
    assert b"Incorrect API key" in books and key.encode() not in books
    assert key not in seen
    desk.sound()


def test_the_desk_hides_a_key_whatever_let_it_through(desk: Runs) -> None:
    """The second net: an error, a sentence and a note that were not cleaned where they were made."""

    async def main() -> None:
        async with a_desk(desk) as own:
            failure, error = (
                Failure(f"a {KEY}", sent="no", retry=False),
                UserError(f"b {KEY}", "do this"),
            )
            own._hide(failure)
            own._hide(error)
            own._say(f"c {KEY}")
            assert (str(failure), failure.what, str(error)) == (
                "a [key]",
                "a [key]",
                "b [key] - do this",
            )
            assert desk.said[-1] == "c [key]"

    asyncio.run(main())


def test_a_line_without_an_answer_is_lost_where_the_provider_does_not_count(desk: Runs) -> None:
    desk.server.faults(uncounted=True)
    assert desk.run(["a", "!hidden b"]) == ["a", "!hidden b"]
    assert desk.kinds("!hidden b") == ["reserved", "lost", "reserved", "settled"]
    assert desk.journal.totals("r").lost > 0
    desk.sound()


def test_answers_without_end_are_lost_once_and_hold_up_no_later_run(desk: Runs) -> None:
    desk.server.faults(content_endless=1)
    for end in desk.run(["a", "b"]):
        assert isinstance(end, UserError) and "far more than was asked for" in str(end)
    assert desk.kinds("a") == desk.kinds("b") == ["reserved", "lost"]
    assert not BatchJobs(desk.journal).open("r")
    assert desk.run(["a", "b"]) == ["a", "b"]


def left_there(desk: Runs) -> None:
    desk.server.faults(hold="")
    desk.run(WORDS, stopping=stop_when(desk, "handed in"))
    desk.server.faults()
    assert desk.kinds("q0") == ["reserved"]


def test_a_batch_is_collected_by_a_teacher_that_takes_no_limit_any_more(desk: Runs) -> None:
    left_there(desk)

    async def main() -> None:
        async with a_desk(desk, takes=frozenset()) as own:
            collected = await asyncio.wait_for(pick_up(own, desk.journal, "r"), PATIENCE)
        assert (collected.batches, collected.answered) == (1, len(WORDS))

    asyncio.run(main())
    desk.sound()


def test_one_line_that_cannot_be_asked_for_does_not_hold_up_the_others(
    desk: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays open, its error is told, and the next run collects it."""
    left_there(desk)
    resume, first = Metered.resume, f"{desk.key('q0')}."

    async def broken(self: Metered, attempt: object, request: Request) -> None:
        if str(getattr(attempt, "name", "")).startswith(first):
            raise UserError("this line cannot be read")
        await resume(self, attempt, request)  # type: ignore[arg-type]

    async def main() -> None:
        async with a_desk(desk) as own:
            with pytest.raises(UserError, match="cannot be read"):
                await asyncio.wait_for(pick_up(own, desk.journal, "r"), PATIENCE)

    monkeypatch.setattr(Metered, "resume", broken)
    asyncio.run(main())
    monkeypatch.undo()
    assert desk.kinds("q0") == ["reserved"] and desk.kinds("q1") == ["reserved", "settled"]
