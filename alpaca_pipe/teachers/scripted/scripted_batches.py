"""Files and batches of the scripted server, kept in a folder, so that one that is started again still has them."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from alpaca_pipe.core.files import canonical, digest_of, read_json, write_atomic, write_json

Answer = Callable[
    [Mapping[str, Any], int], Awaitable[tuple[int, dict[str, Any]]]
]  # body, draw -> status, reply
_ENDED = ("completed", "cancelled", "failed")


class Files:
    """The files of the account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, data: bytes, purpose: str = "batch") -> dict[str, Any]:
        id = f"file-{uuid.uuid4().hex[:16]}"
        about = {
            "id": id,
            "object": "file",
            "bytes": len(data),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
        }
        write_atomic(self.folder / f"{id}.jsonl", data)
        write_json(self.folder / f"{id}.json", about)
        return about

    def data(self, id: str) -> bytes | None:
        path = self.folder / f"{id}.jsonl"
        return path.read_bytes() if path.is_file() else None

    async def upload(self, http: web.Request) -> web.Response:
        form = await http.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        return web.json_response(self.add(file.filename, file.file.read(), str(form["purpose"])))

    async def listed(self, http: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [read_json(path) for path in self.folder.glob("*.json")]}
        )

    async def content(self, http: web.Request) -> web.Response:
        data = self.data(http.match_info["id"])
        return web.Response(body=data) if data is not None else _not_there("file")

    async def delete(self, http: web.Request) -> web.Response:
        id = http.match_info["id"]
        if self.data(id) is None:
            return _not_there("file")
        for end in ("json", "jsonl"):
            (self.folder / f"{id}.{end}").unlink(missing_ok=True)
        return web.json_response({"id": id, "object": "file", "deleted": True})


class ScriptedBatches:
    """The batches of the account; each is answered whole, its lines in another order than they were asked."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self.files = Files(folder / "files")
        self._folder, self._answer = folder / "batches", answer
        self._tasks: set[asyncio.Task[None]] = set()

    def add_to(self, app: web.Application) -> None:
        files = self.files
        app.add_routes(
            [
                web.post("/v1/files", files.upload),
                web.get("/v1/files", files.listed),
                web.get("/v1/files/{id}/content", files.content),
                web.delete("/v1/files/{id}", files.delete),
                web.post("/v1/batches", self.create),
                web.get("/v1/batches", self.listed),
                web.get("/v1/batches/{id}", self.look),
                web.post("/v1/batches/{id}/cancel", self.cancel),
            ]
        )

    def go_on(self) -> None:
        """With what a server before us has left."""
        for batch in self._all():
            if batch["status"] not in _ENDED:
                self._start(batch)

    async def create(self, http: web.Request) -> web.Response:
        asked = await http.json()
        data = self.files.data(asked["input_file_id"])
        if data is None:
            return web.json_response(
                {"error": {"message": "there is no such file", "code": "invalid_request"}},
                status=400,
            )
        batch = {
            "id": f"batch-{uuid.uuid4().hex[:16]}",
            "object": "batch",
            "status": "validating",
            "created_at": int(time.time()),
            "errors": None,
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": len(data.splitlines()), "completed": 0, "failed": 0},
            **asked,
        }
        self._keep(batch)
        self._start(batch)
        return web.json_response(batch)

    async def listed(self, http: web.Request) -> web.Response:
        newest = sorted(
            self._all(), key=lambda batch: (batch["created_at"], batch["id"]), reverse=True
        )
        after = [
            place for place, batch in enumerate(newest) if batch["id"] == http.query.get("after")
        ]
        page = newest[after[0] + 1 if after else 0 :][: int(http.query.get("limit", 20))]
        return web.json_response(
            {"object": "list", "data": page, "has_more": bool(page) and page[-1] != newest[-1]}
        )

    async def look(self, http: web.Request) -> web.Response:
        batch = self._one(http)
        return web.json_response(batch) if batch else _not_there("batch")

    async def cancel(self, http: web.Request) -> web.Response:
        batch = self._one(http)
        if batch and batch["status"] not in _ENDED:
            batch["status"] = "cancelled"
            self._keep(batch)
        return web.json_response(batch) if batch else _not_there("batch")

    def _start(self, batch: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._work(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, batch: dict[str, Any]) -> None:
        self._keep(batch | {"status": "in_progress"})
        lines = [
            json.loads(line)
            for line in (self.files.data(batch["input_file_id"]) or b"").splitlines()
        ]
        draws: Counter[str] = (
            Counter()
        )  # no header says which draw a line is: the n-th same one is the n-th
        asking = []
        for line in lines:
            digest = digest_of(line["body"])
            asking.append(self._answer(line["body"], draws[digest]))
            draws[digest] += 1
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for line, (status, body) in zip(lines, await asyncio.gather(*asking), strict=True):
            (good if status == 200 else bad).append(
                {
                    "id": f"batch_req_{uuid.uuid4().hex[:12]}",
                    "custom_id": line["custom_id"],
                    "error": None,
                    "response": {
                        "status_code": status,
                        "request_id": uuid.uuid4().hex,
                        "body": body,
                    },
                }
            )
        if read_json(self._folder / f"{batch['id']}.json")["status"] == "cancelled":
            return
        random.Random(batch["id"]).shuffle(good)
        for kind, rows in (("output", good), ("error", bad)):
            if rows:
                data = "".join(f"{canonical(row)}\n" for row in rows).encode()
                batch[f"{kind}_file_id"] = self.files.add(
                    f"{batch['id']}_{kind}.jsonl", data, "batch_output"
                )["id"]
        self._keep(
            batch
            | {
                "status": "completed",
                "request_counts": {"total": len(lines), "completed": len(good), "failed": len(bad)},
            }
        )

    def _keep(self, batch: Mapping[str, Any]) -> None:
        write_json(self._folder / f"{batch['id']}.json", dict(batch))

    def _one(self, http: web.Request) -> dict[str, Any] | None:
        path = self._folder / f"{http.match_info['id']}.json"
        return dict(read_json(path)) if path.is_file() else None

    def _all(self) -> list[dict[str, Any]]:
        return [dict(read_json(path)) for path in self._folder.glob("*.json")]


def _not_there(what: str) -> web.Response:
    return web.json_response(
        {"error": {"message": f"there is no such {what}", "code": "not_found"}}, status=404
    )
