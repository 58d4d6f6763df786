"""A batch that is known by its size and its time alone may be another's: it is never ended by us, and never taken for our answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs, Intent
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.batch.message_batches import MessageBatches
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import cancel_batches, connect
from tests.waiting import PATIENCE

_TEXTS = ("one",)  # two might go in files of their own on a busy machine
_OTHERS = "msgbatch_of_another"


@dataclass
class Account:
    """An account at Anthropic's, in which somebody else makes a batch of one at the moment when ours is not made."""

    others_end: bool  # whether their batch ever ends
    made: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    creates: int = 0

    def said(self, id: str) -> dict[str, Any]:
        ended = id != _OTHERS or self.others_end
        size = len(self.made[id])
        return {
            "id": id,
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else size,
                "succeeded": size if ended else 0,
            },
            "created_at": datetime.now(UTC).isoformat(),
            "results_url": "there" if ended else None,
        }

    async def create(self, http: web.Request) -> web.Response:
        self.creates += 1
        requests = (await http.json())["requests"]
        if self.creates == 1:
            self.made[_OTHERS] = [
                one | {"custom_id": f"theirs-{n}"} for n, one in enumerate(requests)
            ]
            assert http.transport is not None
            http.transport.abort()
            return web.Response()
        self.made[id := f"msgbatch_{self.creates}"] = requests
        return web.json_response(self.said(id))

    async def look(self, http: web.Request) -> web.Response:
        return web.json_response(self.said(http.match_info["id"]))

    async def list(self, http: web.Request) -> web.Response:
        return web.json_response({"data": [self.said(id) for id in reversed(self.made)]})

    async def cancel(self, http: web.Request) -> web.Response:
        self.cancelled.append(http.match_info["id"])
        return await self.look(http)

    async def results(self, http: web.Request) -> web.Response:
        lines = [
            {
                "custom_id": one["custom_id"],
                "result": {
                    "type": "succeeded",
                    "message": {
                        "id": "m",
                        "type": "message",
                        "role": "assistant",
                        "model": "claude-haiku-4-5",
                        "content": [{"type": "text", "text": _asked(one)}],
                        "stop_reason": "end_turn",
                        "usage": {"input_tokens": 10, "output_tokens": 5},
                    },
                },
            }
            for one in self.made[http.match_info["id"]]
        ]
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))


def _asked(one: dict[str, Any]) -> str:
    content = one["params"]["messages"][-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


@asynccontextmanager
async def served(account: Account) -> AsyncIterator[TeacherTable]:
    app, at = web.Application(), "/v1/messages/batches"
    app.add_routes(
        [
            web.post(at, account.create),
            web.get(at, account.list),
            web.get(at + "/{id}", account.look),
            web.post(at + "/{id}/cancel", account.cancel),
            web.get(at + "/{id}/results", account.results),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield TeacherTable.model_validate(
            {
                "kind": "anthropic_batch",
                "model": "claude-haiku-4-5",
                "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
                "price": {"in": Decimal("0.1"), "out": Decimal("0.4")},
                "poll": 0.05,
            }
        )
    finally:
        await runner.cleanup()


async def asked(
    table: TeacherTable, journal: Journal, folder: Path, stopping: Callable[[], bool]
) -> list[str]:
    async with connect(
        table,
        journal=journal,
        caps=Caps(),
        recipe="r",
        run="run1",
        stage="generate",
        log=folder / "log",
        stopping=stopping,
        say=lambda said: None,
    ) as teacher:
        requests = [Request((PromptMessage("user", text),), {"max_tokens": 20}) for text in _TEXTS]
        found = await asyncio.gather(
            *(teacher.ask(one) for one in requests), return_exceptions=True
        )
        if worst := [one for one in found if isinstance(one, Stopped | UserError)]:
            raise worst[0]
        return [one.text if isinstance(one, Completion) else str(one) for one in found]


def kinds(journal: Journal) -> list[str]:
    journal.write(lambda db: None).result()
    return [entry.kind for entry in journal.entries() if entry.kind in ("lost", "settled")]


def test_answers_to_others_are_not_ours_and_what_was_asked_is_counted_as_lost(
    tmp_path: Path,
) -> None:
    account = Account(others_end=True)

    async def main(journal: Journal) -> list[str]:
        async with served(account) as table:
            return await asyncio.wait_for(asked(table, journal, tmp_path, lambda: False), PATIENCE)

    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        assert asyncio.run(main(journal)) == list(_TEXTS)
        assert sorted(kinds(journal)) == ["lost", "settled"]
        assert BatchJobs(journal).open("r") == []
    assert account.creates == 2 and account.cancelled == []


def test_what_may_be_anothers_is_not_ended_by_a_cancel(tmp_path: Path) -> None:
    account = Account(others_end=False)

    async def main(journal: Journal) -> Any:
        async with served(account) as table:
            with suppress(Stopped):
                await asked(table, journal, tmp_path, lambda: BatchJobs(journal).has(_OTHERS))
            [intent] = BatchJobs(journal).open("r")
            assert intent.batch == _OTHERS and intent.guessed
            return await cancel_batches(
                table, journal=journal, recipe="r", log=tmp_path / "log", say=lambda said: None
            )

    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        collected = asyncio.run(asyncio.wait_for(main(journal), PATIENCE))
        assert (collected.batches, collected.answered, collected.unanswered) == (1, 0, 1)
        assert kinds(journal) == ["lost"] and BatchJobs(journal).open("r") == []
    assert account.cancelled == []


def test_one_that_the_books_know_is_no_candidate() -> None:
    """Two of the same size: the one that another run has in its books leaves the other for us, and it is not asked for again."""
    intent = Intent("i", "2026-11-30T10:00:00+00:00", "tea", "r", "generate", "a", {}, "f")

    class Listed(MessageBatches):
        async def _made(self, path: str, method: str, *rest: Any, **more: Any) -> dict[str, Any]:
            return {"data": [listed("theirs"), listed("ours")]}

    def listed(id: str) -> dict[str, Any]:
        return {
            "id": id,
            "created_at": "2026-11-30T10:00:01+00:00",
            "processing_status": "in_progress",
            "request_counts": {"processing": 2},
        }

    office = Listed(cast(Any, None))
    office._held["f"] = b"{}\n{}\n"
    assert asyncio.run(office.find(intent)) is None
    found = asyncio.run(office.find(intent, lambda batch: batch == "theirs"))
    assert found and found["id"] == "ours"
