"""Files and batches as OpenAI has them: lines in, lines out in another order, billed at the batch price when they are done."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.proving import faults, replies
from tests.proving.books import Row, billed
from tests.proving.strict import refused_by_model

if TYPE_CHECKING:
    from tests.proving.server import Server

_MOST_LINES, _MOST_BYTES = 50_000, 200 << 20
_DAY = 86400
_LATE = 3  # looks at a completed batch until its files are shown, where they come late


@dataclass
class _Batch:
    """What the API tells of a batch, and what only the server knows."""

    said: dict[str, Any]
    fault: str
    lines: list[dict[str, Any]]
    wrong: str  # with the lines
    task: asyncio.Task[None] | None = None
    results: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    looks: int = 0  # at it, since it was completed


class Batches:
    """The files and batches of one server; they live as long as it does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._batches: dict[str, _Batch] = {}
        self._numbers = count()  # of files: a deleted one's is not given again
        self.working = 0
        self._calls = 0

    def routes(self) -> list[web.RouteDef]:
        calls = [
            ("POST", "/files", self._upload),
            ("GET", "/files", self._list_files),
            ("GET", "/files/{id}", self._file),
            ("GET", "/files/{id}/content", self._content),
            ("DELETE", "/files/{id}", self._delete),
            ("POST", "/batches", self._create),
            ("GET", "/batches", self._list),
            ("GET", "/batches/{id}", self._batch),
            ("POST", "/batches/{id}/cancel", self._cancel),
        ]
        return [
            web.route(method, "/v1" + path, self.weathered(call)) for method, path, call in calls
        ]

    def weathered(
        self, call: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A call about files and batches, with what may go wrong with it."""
        return partial(self._with_weather, call)

    async def _with_weather(
        self, call: Callable[[web.Request], Awaitable[web.Response]], http: web.Request
    ) -> web.Response:
        """One call about files and batches, or what goes wrong with it."""
        server = self._server
        self._calls += 1
        fault = (
            faults.drawn(
                server.settings.faults,
                faults.OFFICE,
                faults.chance(server.settings.seed, "office", self._calls),
            )
            if server.settings.faults
            else ""
        )
        if fault:
            server.met[fault] += 1
        status = fault.removeprefix("office_")
        if status in faults.ERRORS:
            code, type_, message = faults.ERRORS[status]
            return _error(code, message, type_)
        if fault == "office_error_body":
            error = replies.error("The service is not available right now.", "unavailable")
            return web.json_response(error)
        answer = await call(http) if fault != "office_reset" else _error(500, "", "")
        if fault and http.transport is not None:
            http.transport.abort()
        return answer

    # ---- files

    async def _upload(self, http: web.Request) -> web.Response:
        parts = await http.post()
        upload = parts["file"]
        content = upload.file.read() if isinstance(upload, web.FileField) else str(upload).encode()
        name = upload.filename if isinstance(upload, web.FileField) else "file"
        if len(content) > _MOST_BYTES:
            return _error(413, "the file is larger than 200 MB", "file_too_large")
        return web.json_response(self._keep(content, name, str(parts.get("purpose", "batch"))))

    def _keep(self, content: bytes, name: str, purpose: str) -> dict[str, Any]:
        said = {
            "id": f"file-{next(self._numbers):06d}",
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[said["id"]] = (said, content)
        return said

    async def _list_files(self, http: web.Request) -> web.Response:
        return web.json_response(
            _page([said for said, _ in reversed(self._files.values())], http, 10_000)
        )

    async def _file(self, http: web.Request) -> web.Response:
        found = self._files.get(http.match_info["id"])
        return (
            web.json_response(found[0])
            if found
            else _error(404, "No such File object", "not_found")
        )

    async def _content(self, http: web.Request) -> web.Response:
        found = self._files.get(http.match_info["id"])
        if not found:
            return _error(404, "No such File object", "not_found")
        return web.Response(body=found[1], content_type="application/octet-stream")

    async def _delete(self, http: web.Request) -> web.Response:
        gone = self._files.pop(http.match_info["id"], None)
        return web.json_response(
            {"id": http.match_info["id"], "object": "file", "deleted": gone is not None}
        )

    # ---- batches

    async def _create(self, http: web.Request) -> web.Response:
        asked = await http.json()
        server = self._server
        if asked["input_file_id"] not in self._files:
            return _error(400, "No such File object", "invalid_request_error")
        id = f"batch_{len(self._batches):06d}"
        said = {
            "id": id,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": None,
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": int(time.time()),
            "in_progress_at": None,
            "expires_at": int(time.time()) + _DAY,
            "finalizing_at": None,
            "completed_at": None,
            "failed_at": None,
            "expired_at": None,
            "cancelling_at": None,
            "cancelled_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
        }
        fault = faults.drawn(
            server.settings.faults, faults.BATCH, faults.chance(server.settings.seed, "batch", id)
        )
        batch = self._batches[id] = _Batch(said, fault, *self._lines(said))
        batch.task = asyncio.create_task(self._work(batch))
        return web.json_response(said)

    async def _list(self, http: web.Request) -> web.Response:
        newest_first = [batch.said for batch in reversed(self._batches.values())]
        return web.json_response(_page(newest_first, http))

    async def _batch(self, http: web.Request) -> web.Response:
        found = self._batches.get(http.match_info["id"])
        if not found:
            return _error(404, "No batch found", "not_found")
        said = found.said
        if said["status"] == "completed" and found.fault in (
            "batch_files_late",
            "batch_files_never",
        ):
            found.looks += 1
            if found.looks <= _LATE or found.fault == "batch_files_never":
                said = said | {"output_file_id": None, "error_file_id": None}
        return web.json_response(said)

    async def _cancel(self, http: web.Request) -> web.Response:
        found = self._batches.get(http.match_info["id"])
        if not found:
            return _error(404, "No batch found", "not_found")
        if found.said["status"] in ("validating", "in_progress"):
            found.said |= {"status": "cancelling", "cancelling_at": int(time.time())}
        return web.json_response(found.said)

    async def _work(self, batch: _Batch) -> None:
        self.working += 1
        try:
            await self._through(batch)
        finally:
            self.working -= 1

    async def _through(self, batch: _Batch) -> None:
        """validating -> in_progress -> finalizing -> completed; or failed, expired, cancelled."""
        said, server, now = batch.said, self._server, lambda: int(time.time())
        step = server.settings.batch_seconds / 4
        await asyncio.sleep(step)
        lines, wrong = batch.lines, batch.wrong
        full = bool(server.settings.queue) and self.queued() > server.settings.queue
        if wrong or full or batch.fault == "batch_failed":
            server.met["queue_full" if full else "batch_failed"] += 1
            code, why = (
                ("token_limit_exceeded", "Enqueued token limit reached.")
                if full
                else ("invalid_request", wrong or "the file could not be validated")
            )
            said |= {
                "status": "failed",
                "failed_at": now(),
                "errors": {
                    "object": "list",
                    "data": [{"code": code, "message": why, "line": None}],
                },
            }
            return
        said |= {"request_counts": {"total": len(lines), "completed": 0, "failed": 0}}
        if said["status"] != "cancelling":
            said |= {"status": "in_progress", "in_progress_at": now()}
        order = Random(f"{server.settings.seed} {said['id']}").sample(lines, len(lines))
        until = len(order) // 2 if batch.fault == "batch_expired" else len(order)
        at = 0
        while at < until and said["status"] != "cancelling":
            part = order[at : at + max(1, until // 8)]
            await asyncio.sleep(2 * step / 8)
            if said["status"] == "cancelling":
                break
            for line in part:
                self._answer(batch, line)
            at += len(part)
        if at < len(order):
            code = "batch_cancelled" if said["status"] == "cancelling" else "batch_expired"
            for line in order[at:]:
                batch.errors.append(
                    _line(
                        said["id"],
                        line["custom_id"],
                        None,
                        {"code": code, "message": "This request could not be executed."},
                    )
                )
        ended = (
            {"batch_expired": "expired", "batch_cancelled": "cancelled"}[code]
            if at < len(order)
            else "completed"
        )
        server.met[batch.fault] += bool(batch.fault)
        if ended == "completed":
            said |= {"status": "finalizing", "finalizing_at": now()}
        await asyncio.sleep(step)
        for name, rows in (("output", batch.results), ("error", batch.errors)):
            if rows:
                kept = self._keep(
                    "".join(row + "\n" for row in rows).encode(),
                    f"{said['id']}_{name}.jsonl",
                    "batch_output",
                )
                said[f"{name}_file_id"] = kept["id"]
        said |= {"status": ended, f"{ended}_at": now()}

    def queued(self) -> int:
        """Lines of all batches that are under way."""
        return sum(
            len(batch.lines)
            for batch in self._batches.values()
            if batch.said["status"] in ("validating", "in_progress", "cancelling")
        )

    def _lines(self, said: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        """The lines of the input, and what is wrong with them."""
        try:
            lines = [
                json.loads(line)
                for line in self._files[said["input_file_id"]][1].splitlines()
                if line.strip()
            ]
            twice = [
                id
                for id, count in Counter(line["custom_id"] for line in lines).items()
                if count > 1
            ]
            wrong = [
                line
                for line in lines
                if line["method"] != "POST" or line["url"] != said["endpoint"] or "body" not in line
            ]
        except (ValueError, KeyError, TypeError) as error:
            return [], f"a line is not what the API takes: {error}"
        if not lines or len(lines) > _MOST_LINES:
            return [], f"{len(lines)} lines, 1 to {_MOST_LINES} wanted"
        return (
            lines,
            f"the custom_id {twice[0]} stands twice"
            if twice
            else "a line has another method or url"
            if wrong
            else self._no_such_model(lines),
        )

    def _no_such_model(self, lines: list[dict[str, Any]]) -> str:
        known = self._server.settings.models
        asked = next((line["body"].get("model") for line in lines), "")
        gone = known and asked not in known
        return f"The provided model '{asked}' is not supported by the Batch API." if gone else ""

    def _answer(self, batch: _Batch, line: dict[str, Any]) -> None:
        """One line: answered and billed, or refused, or not there, or there twice."""
        server, body, name = self._server, line["body"], line["custom_id"]
        asked = server.question(body, name)
        server.asked[asked] += 1
        nature = server.nature(asked)
        settings = server.settings
        fault = faults.drawn(
            settings.faults,
            faults.LINE,
            faults.chance(settings.seed, "line", asked, server.asked[asked]),
        )
        if nature == "filtered_unread" and fault in ("", "line_twice"):
            fault = nature
        odd = faults.drawn(
            settings.faults,
            (*faults.ODD, "gateway_text"),
            faults.chance(settings.seed, "odd", asked, server.asked[asked]),
        )
        server.met[fault or odd or nature] += bool(fault or odd or nature)
        counts = batch.said["request_counts"]
        if fault in ("line_missing", "line_error", "filtered_unread", "line_filtered", "line_null"):
            status = {"line_error": 500, "filtered_unread": 400, "line_null": 400}.get(fault, 0)
            server.books.enter(
                Row(
                    time.time(),
                    name,
                    asked,
                    str(body.get("model", "")),
                    status,
                    fault,
                    batch.said["id"],
                )
            )
            counts["failed"] += 1
            if fault in ("line_filtered", "line_null"):
                error = replies.error("The prompt is not allowed.", "content_filter")["error"]
                answer = (400, None) if fault == "line_null" else None
                batch.errors.append(_line(batch.said["id"], name, answer, error))
            elif status:
                _, code, message = faults.ERRORS["500" if status == 500 else "filtered_unread"]
                batch.errors.append(
                    _line(batch.said["id"], name, (status, replies.error(message, code)), None)
                )
            return
        if settings.strict and (refusal := refused_by_model(body)):
            server.met[f"strict {refusal['error']['param']}"] += 1
            batch.errors.append(_line(batch.said["id"], name, (400, refusal), None))
            counts["failed"] += 1
            return
        reply = replies.reply_to(asked, body, settings, nature)
        server.books.enter(
            Row(
                time.time(),
                name,
                asked,
                str(body.get("model", "")),
                200,
                fault or odd or nature,
                batch.said["id"],
                reply.uncached_in,
                reply.cache_read,
                reply.visible_out,
                reply.reasoning_out,
                0 if odd == "gateway_text" else sum(billed(reply, settings.batch_price).values()),
            )
        )
        counts["completed"] += 1
        server.answered += 1
        said = replies.as_openai(
            reply, body, settings, line["url"].endswith("/chat/completions"), odd
        )
        batch.results += [_line(batch.said["id"], name, (200, said), None)] * (
            2 if fault == "line_twice" else 1
        )


def _line(
    batch: str,
    name: str,
    answer: tuple[int, dict[str, Any] | None] | None,
    failed: dict[str, Any] | None,
) -> str:
    response = (
        {"status_code": answer[0], "request_id": f"req-{name[-24:]}", "body": answer[1]}
        if answer
        else None
    )
    return json.dumps(
        {"id": f"{batch}-{name[:16]}", "custom_id": name, "response": response, "error": failed}
    )


def _page(items: list[dict[str, Any]], http: web.Request, limit: int = 20) -> dict[str, Any]:
    """Newest first, as they come."""
    limit, after = int(http.query.get("limit", limit)), http.query.get("after")
    ids = [item["id"] for item in items]
    start = ids.index(after) + 1 if after in ids else 0
    data = items[start : start + limit]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": start + limit < len(items),
    }


def _error(status: int, message: str, code: str) -> web.Response:
    return web.json_response(replies.error(message, code), status=status)


def lines_of(content: bytes) -> Iterator[dict[str, Any]]:
    """The rows of an output file, for tests."""
    return (json.loads(line) for line in content.splitlines())
