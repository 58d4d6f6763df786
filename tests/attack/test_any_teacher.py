"""Any bytes and headers of a teacher: each question ends in a reply, or in a sentence, within bounds; and the books add up:
reserved = settled + released + lost + open. The whole command line goes through the same in `python -m tests.attack.fuzz`."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.batch_jobs import Intent
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.batch.batch_client import BatchClient
from alpaca_pipe.teachers.http_teacher import HttpTeacher
from alpaca_pipe.teachers.openai.chat_dialect import CHAT, TAKES
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import http_client
from tests.attack.examples import some
from tests.attack.fuzz import books_of, script_of
from tests.attack.hostile import Asked, hostile, whole
from tests.teachers.test_metered import CEILING, metered


@some
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([1, 4]))
def test_any_bytes_and_headers_end_in_a_reply_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, seed: int, good: float, concurrency: int
) -> None:
    home = tmp_path_factory.mktemp("any")

    async def body(url: str, journal: Journal) -> list[object]:
        async with http_client(url, timeout=1.0) as client:
            wire = HttpConnection(client, url, "m", "", 1.0, takes=TAKES, dialect=CHAT)
            asking = metered(
                HttpTeacher(wire, {"who": "any"}),  # type: ignore[arg-type]
                journal,
                Caps(api=100 * CEILING),
                concurrency=concurrency,
                attempts=1,
            )
            return await asyncio.gather(
                *(
                    asking.ask(Request((PromptMessage("user", f"q{n}"),), {"max_tokens": 20}))
                    for n in range(3)
                ),
                return_exceptions=True,
            )

    with (
        hostile(script_of(random.Random(seed), good, by_batch=False)) as server,
        Journal.open(home / "ledger.sqlite") as journal,
    ):
        ends = asyncio.run(asyncio.wait_for(body(server.url, journal), 60))
        journal.check()
        assert journal.totals().open == 0
    for end in ends:
        assert isinstance(end, Completion | UserError), end
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        assert books_of(db) == []


@pytest.mark.parametrize("status", [404, 410, 500])
def test_a_provider_that_knows_no_list_of_batches_is_a_sentence(status: int) -> None:
    async def script(asked: Asked) -> AsyncIterator[bytes]:
        yield whole(b'{"error": {"message": "no"}}', status=status)

    async def main(url: str) -> None:
        async with http_client(url, timeout=5.0) as client:
            office = BatchClient(
                HttpConnection(client, url, "m", "", 5.0, takes=TAKES, dialect=CHAT)
            )
            for call in (
                office.find(Intent("b1-x", "", "r", "1", "generate", "", {})),
                office.files_named("f"),
                office.upload("f", b"{}"),
            ):
                with pytest.raises((Failure, UserError)):
                    await call

    with hostile(script) as server:
        asyncio.run(main(server.url))
