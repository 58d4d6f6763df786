"""Anthropic's Message Batches against a server that has them: every answer once, at the batch price, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Fatal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from tests.proving.compare import compare
from tests.proving.start import Proving, proving

WORDS = [f"Say something of the number {number}." for number in range(40)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Proving]:
    with proving(tmp_path / "books.sqlite", models=["m"], batch_seconds=0.1) as running:
        yield running


def asked(
    server: Proving, folder: Path, texts: list[str], stop_at: str = "", **fields: Any
) -> list[Any]:
    """The finishes of the replies, or the errors. stop_at: a word of the screen at which the run is to stop."""
    said: list[str] = []
    table = TeacherTable.model_validate(
        {
            "kind": "anthropic_batch",
            "model": "m",
            "base_url": server.url,
            "identity": "the proving server",
            "price": {"in": 0.075, "out": 0.30, "cache_read": 0.075, "reasoning": 0.30},
            "poll": 0.1,
            "most_requests": 16,
            "max_attempts": 12,
            **fields,
        }
    )

    async def main() -> list[Any]:
        with Journal.open(folder / "ledger.sqlite") as journal:
            journal.recover("it")
            async with connect(
                table,
                journal=journal,
                caps=Caps(),
                recipe="it",
                run=f"run{len(list(journal.entries()))}",
                stage="generate",
                log=folder / "log",
                say=said.append,
                stopping=lambda: bool(stop_at) and any(stop_at in one for one in said),
            ) as teacher:
                requests = [
                    Request((PromptMessage("user", text),), {"max_tokens": 60}) for text in texts
                ]
                got = await asyncio.gather(
                    *(teacher.ask(one) for one in requests), return_exceptions=True
                )
        return [one.finish if isinstance(one, Completion) else one for one in got]

    try:
        return asyncio.run(main())
    except (UserError, Stopped) as error:
        return [error]


def agrees(server: Proving, folder: Path, lost: int = 0) -> None:
    """Both sides' books, attempt by attempt."""
    server.quiet()
    found = compare(folder / "ledger.sqlite", server.books)
    assert not found.disagreements and found.ours + found.held >= found.theirs > 0
    assert (found.ours == found.theirs and not found.held) or lost
    with Journal.open(folder / "ledger.sqlite", read_only=True) as journal:
        assert BatchJobs(journal).open("it") == []


def test_every_request_is_answered_once_at_the_batch_price(server: Proving, tmp_path: Path) -> None:
    assert set(asked(server, tmp_path, WORDS)) <= {"stop", "length"}
    agrees(server, tmp_path)
    arrived = server.state()["questions"]
    assert set(asked(server, tmp_path, WORDS)) <= {"stop", "length"}
    assert server.state()["questions"] == arrived == len(WORDS)


@pytest.mark.parametrize(
    "weather",
    [
        {"line_error": 0.3, "line_missing": 0.2},
        {"batch_expired": 0.5},
        {"office_500": 0.2, "office_429": 0.1, "office_error_body": 0.1, "office_reset": 0.1},
    ],
    ids=["lines", "expired", "calls"],
)
def test_what_passes_is_asked_again(
    server: Proving, tmp_path: Path, weather: dict[str, float]
) -> None:
    """A creation whose answer broke may have been made or not; where that cannot be told it is lost, never forgotten."""
    server.weather(faults=weather, seed=3)
    assert set(asked(server, tmp_path, WORDS)) <= {"stop", "length"}
    agrees(server, tmp_path, lost="office_500" in weather)


def test_a_batch_whose_creation_was_not_answered_is_known_by_its_size(
    server: Proving, tmp_path: Path
) -> None:
    server.weather(faults={"office_done_reset": 0.5}, seed=5)
    assert set(asked(server, tmp_path, WORDS[:7])) <= {"stop", "length"}
    server.weather(faults={})
    agrees(server, tmp_path)


def test_a_stop_leaves_the_batch_there_and_the_next_run_collects_it(
    server: Proving, tmp_path: Path
) -> None:
    server.weather(batch_seconds=1.0)
    ends = asked(server, tmp_path, WORDS[:10], stop_at="handed in")
    assert all(isinstance(one, Stopped) for one in ends)
    assert set(asked(server, tmp_path, WORDS[:10])) <= {"stop", "length"}
    assert server.state()["questions"] == 10
    agrees(server, tmp_path)


def test_a_model_that_is_not_there_ends_the_run(server: Proving, tmp_path: Path) -> None:
    (error, *_) = asked(server, tmp_path, WORDS[:2], model="n")
    assert isinstance(error, Fatal) and "404" in error.what and "teacher.model" in error.cure


def test_its_prices_are_in_the_book_at_half() -> None:
    both = [
        TeacherTable.model_validate({"kind": kind, "model": "claude-sonnet-5"}).priced()
        for kind in ("anthropic_messages", "anthropic_batch")
    ]
    assert [one.mode for one in both] == ["online", "batch"]
    halves = {name: amount / 2 for name, amount in both[0].per_million.items()}
    assert both[1].per_million == halves
