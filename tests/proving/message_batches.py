"""Anthropic's Message Batches: requests in one call, answers as lines under names without dots, billed when they are done.

Of the faults of batches.py it knows line_error, line_missing (expired there), batch_expired and those of the calls.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.proving import faults, replies
from tests.proving.books import CLASSES, Row, billed
from tests.proving.dialects.anthropic_served import ANTHROPIC
from tests.proving.dialects.base import Refusal

if TYPE_CHECKING:
    from tests.proving.server import Server

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass
class _Messages:
    id: str
    requests: list[dict[str, Any]]
    version: str
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    cancelling: bool = False
    task: asyncio.Task[None] | None = None

    def said(self, http: web.Request) -> dict[str, Any]:
        names = ("succeeded", "errored", "canceled", "expired")
        waiting = 0 if self.ended else len(self.requests)
        done = {name: self.counts[name] if self.ended else 0 for name in names}
        status = "ended" if self.ended else "canceling" if self.cancelling else "in_progress"
        address = f"{http.url.origin()}/v1/messages/batches/{self.id}/results"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {"processing": waiting, **done},
            "created_at": self.made,
            "ended_at": None,
            "results_url": address if self.ended else None,
        }


class MessageBatchOffice:
    """All batches of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._batches: dict[str, _Messages] = {}
        self._numbers = count()
        self.working = 0

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/messages/batches"
        weather = self._server.batches.weathered
        return [
            web.post(at, weather(self._create)),
            web.get(at, weather(self._list)),
            web.get(at + "/{id}", weather(self._look)),
            web.post(at + "/{id}/cancel", weather(self._cancel)),
            web.get(at + "/{id}/results", weather(self._results)),
        ]

    async def _create(self, http: web.Request) -> web.Response:
        requests = (await http.json())["requests"]
        names = [one["custom_id"] for one in requests]
        if not all(map(_NAME.fullmatch, names)) or len(set(names)) < len(names):
            said = ANTHROPIC.error(400, "", "requests.0.custom_id: String should match pattern")
            return web.json_response(said, status=400)
        version = http.headers["anthropic-version"]
        batch = _Messages(f"msgbatch_{next(self._numbers):04d}", requests, version)
        self._batches[batch.id] = batch
        batch.task = asyncio.create_task(self._work(batch, http))
        return web.json_response(batch.said(http))

    async def _look(self, http: web.Request) -> web.Response:
        return web.json_response(self._batches[http.match_info["id"]].said(http))

    async def _cancel(self, http: web.Request) -> web.Response:
        self._batches[http.match_info["id"]].cancelling = True
        return await self._look(http)

    async def _list(self, http: web.Request) -> web.Response:
        rows = [batch.said(http) for batch in reversed(self._batches.values())]
        after = [place for place, row in enumerate(rows) if row["id"] == http.query.get("after_id")]
        rows = rows[after[0] + 1 if after else 0 :]
        return web.json_response({"data": rows[:2], "has_more": len(rows) > 2})  # a page is small

    async def _results(self, http: web.Request) -> web.Response:
        lines = self._batches[http.match_info["id"]].lines
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))

    async def _work(self, batch: _Messages, http: web.Request) -> None:
        self.working += 1
        settings = self._server.settings
        late = faults.chance(settings.seed, "batch", batch.id) < settings.faults.get(
            "batch_expired", 0
        )
        try:
            await asyncio.sleep(settings.batch_seconds)
            until = len(batch.requests) // 2 if late or batch.cancelling else len(batch.requests)
            for place, one in enumerate(reversed(batch.requests)):
                if place < until:
                    result = self._result(batch, one, http)
                else:
                    result = {"type": "canceled" if batch.cancelling else "expired"}
                batch.counts[result["type"]] += 1
                batch.lines.append({"custom_id": one["custom_id"], "result": result})
            self._server.met["batch_expired"] += late
            batch.ended = True
        finally:
            self.working -= 1

    def _result(self, batch: _Messages, one: dict[str, Any], http: web.Request) -> dict[str, Any]:
        server, settings = self._server, self._server.settings
        name = one["custom_id"].replace("_", ".")
        try:
            body = ANTHROPIC.asked(http, one["params"])
        except Refusal as refusal:
            return {"type": "errored", "error": ANTHROPIC.error(400, "", str(refusal))}
        if settings.models and body["model"] not in settings.models:
            return {"type": "errored", "error": ANTHROPIC.error(404, "", f"model: {body['model']}")}
        asked = server.question(body, name)
        server.asked[asked] += 1
        fault = faults.drawn(
            settings.faults,
            ("line_error", "line_missing"),
            faults.chance(settings.seed, "line", asked, server.asked[asked]),
        )
        server.met[fault] += bool(fault)
        reply = replies.reply_to(asked, body, settings, server.nature(asked))
        used = {} if fault else {name: getattr(reply, name) for name in CLASSES}
        cost = 0 if fault else sum(billed(reply, settings.batch_price).values())
        server.books.enter(
            Row(
                time.time(),
                name,
                asked,
                body["model"],
                0 if fault else 200,
                fault,
                batch.id,
                **used,
                nanodollars=cost,
            )
        )
        if fault == "line_missing":
            return {"type": "expired"}
        if fault:
            return {"type": "errored", "error": ANTHROPIC.error(500, "", "Internal server error")}
        server.answered += 1
        said = ANTHROPIC.says(reply, body, settings, "")
        said["usage"]["service_tier"] = "batch"
        return {"type": "succeeded", "message": said}
