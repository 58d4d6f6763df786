"""A provider of batches in a process of its own, that keeps books and makes mistakes when it is told to.

`python -m tests.teachers.batch_server` prints its address. PUT /faults sets what goes wrong from now on; GET /books tells
what was answered and billed, by the name of each attempt and by what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

JSON = dict[str, Any]


class Provider:
    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, JSON] = {}
        self.faults: JSON = {}
        self.books: JSON = {
            "names": Counter(),
            "asked": Counter(),
            "online": 0,
            "creates": 0,
            "keys": Counter(),
            "most": 0,
        }
        self.tries: Counter[str] = Counter()  # of each request
        self.tasks: set[asyncio.Task[None]] = set()
        self.deleted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)  # of each file

    def fault(self, name: str) -> bool:
        """Whether this one goes wrong: each fault is a number of times."""
        left = self.faults.get(name, 0)
        if left:
            self.faults[name] = left - 1
        return bool(left)

    # ---- files

    async def upload(self, http: web.Request) -> web.StreamResponse:
        if self.fault("upload_busy"):
            return web.json_response(
                {"error": {"message": "busy"}}, status=503, headers={"Retry-After": "0.1"}
            )
        form = await http.post()
        file: Any = form["file"]
        id = f"file-{uuid.uuid4().hex[:8]}"
        self.files[id] = (file.filename, file.file.read())
        if self.fault("upload_lost"):
            return cut(http)
        return web.json_response({"id": id, "filename": file.filename})

    async def list_files(self, http: web.Request) -> web.Response:
        return web.json_response(
            {"data": [{"id": id, "filename": name} for id, (name, _) in self.files.items()]}
        )

    async def content(self, http: web.Request) -> web.Response:
        id = http.match_info["id"]
        if self.fault("content_busy"):
            return web.json_response({"error": {"message": "no"}}, status=500)
        if self.fault("content_endless"):
            endless = web.StreamResponse()
            await endless.prepare(http)
            while True:
                await endless.write(b" " * 65536)
        return web.Response(body=self.files[id][1]) if id in self.files else not_there()

    async def delete(self, http: web.Request) -> web.Response:
        if self.faults.get("no_delete"):
            return web.json_response({"error": {"message": "not here"}}, status=405)
        if not self.files.pop(http.match_info["id"], None):
            return not_there()
        self.deleted[http.match_info["id"]].set()
        return web.json_response({"deleted": True})

    # ---- batches

    async def create(self, http: web.Request) -> web.StreamResponse:
        asked = await http.json()
        self.books["creates"] += 1
        if self.fault("create_busy"):
            return web.json_response(
                {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.1"}
            )
        if self.fault("create_never"):
            return cut(http)
        if self.fault("create_late"):  # it is still on its way when the connection breaks
            self.start(self.late(asked))
            return cut(http)
        batch = self.made(asked)
        if batch is None:
            return web.json_response(
                {"error": {"message": "no such file", "code": "x"}}, status=400
            )
        return cut(http) if self.fault("create_lost") else web.json_response(batch)

    async def late(self, asked: JSON) -> None:
        """Arrives when the client has looked at the list and taken its file away."""
        await self.deleted[asked["input_file_id"]].wait()
        self.made(asked)

    def made(self, asked: JSON) -> JSON | None:
        if asked["input_file_id"] not in self.files:
            return None
        metadata = asked.pop("metadata")
        lines = [
            json.loads(line)
            for line in self.files[asked["input_file_id"]][1].decode().split("\n")
            if line
        ]
        batch = {
            "id": f"batch_{len(self.batches)}_{uuid.uuid4().hex[:6]}",
            "status": "validating",
            "created_at": int(time.time()),
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "metadata": {} if self.faults.get("no_metadata") else metadata,
            **asked,
        }
        open = sum(
            b["request_counts"]["total"]
            for b in self.batches.values()
            if b["status"] == "in_progress"
        )
        self.batches[batch["id"]] = batch
        self.books["keys"][metadata.get("alpaca_pipe_intent")] += 1
        if self.fault("fail"):
            batch |= {
                "status": "failed",
                "errors": {
                    "data": [
                        {
                            "code": "invalid_json_line",
                            "message": self.faults.get("says", "This line is not JSON."),
                            "line": 3,
                        },
                        {"code": "x", "message": "y"},
                    ]
                },
            }
        elif len(lines) > self.faults.get("room", 10**9):
            self.start(self.too_long(batch))
        elif open + len(lines) > self.faults.get("queue", 10**9):
            batch |= {
                "status": "failed",
                "errors": {
                    "data": [
                        {
                            "code": "token_limit_exceeded",
                            "line": None,
                            "message": "Enqueued token limit reached for m in organization o. Limit: 9 enqueued tokens.",
                        }
                    ]
                },
            }
        else:
            batch["status"] = "in_progress"
            self.start(self.work(batch, lines))
        return batch

    async def too_long(self, batch: JSON) -> None:
        """Refused, but not at once."""
        await asyncio.sleep(self.faults.get("seconds", 0.05))
        batch |= {
            "status": "failed",
            "errors": {"data": [{"code": "token_limit_exceeded", "message": "queue is full"}]},
        }

    def start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def work(self, batch: JSON, lines: list[JSON]) -> None:
        reach = len(lines) // 2 if self.fault("expire") else len(lines)
        rows: list[JSON] = []
        self.books["most"] = max(self.books["most"], len(lines))
        deadline = time.monotonic() + self.faults.get("seconds", 0.05)
        for line in lines[:reach]:
            if batch["status"] == "cancelling":
                break
            if time.monotonic() < deadline:
                await asyncio.sleep((deadline - time.monotonic()) / max(1, reach - len(rows)))
            rows.append(self.answer(line))
            batch["request_counts"]["completed"] = len(rows)
        texts = [line["body"]["messages"][-1]["content"] for line in lines]
        while (
            any(self.faults.get("hold", "nothing") in text for text in texts)
            and batch["status"] != "cancelling"
        ):
            await asyncio.sleep(0.02)
        self.finish(batch, lines, rows)

    def answer(self, line: JSON) -> JSON:
        text = line["body"]["messages"][-1]["content"]
        row: JSON = {"id": uuid.uuid4().hex, "custom_id": line["custom_id"], "error": None}
        word = next((word for word in text.split() if word.startswith("!")), "")
        key = line["custom_id"].split(".")[0]
        times = self.tries[key]
        self.tries[key] += 1
        if word == "!400":
            return row | {
                "response": {"status_code": 400, "body": {"error": {"message": "too odd"}}}
            }
        if word == "!quota":
            return row | {
                "response": {
                    "status_code": 429,
                    "body": {"error": {"code": "insufficient_quota", "message": "no"}},
                }
            }
        if word in ("!429", "!500") and times == 0:
            return row | {
                "response": {"status_code": int(word[1:]), "body": {"error": {"message": "later"}}}
            }
        if word in ("!missing", "!hidden") and times == 0:
            return row | {"word": word}
        self.books["names"][line["custom_id"]] += 1
        self.books["asked"][text] += 1
        return row | {"response": {"status_code": 200, "body": reply_to(line["body"])}}

    def finish(self, batch: JSON, lines: list[JSON], rows: list[JSON]) -> None:
        ended = {row["custom_id"] for row in rows}
        good = [row for row in rows if row.get("response", {}).get("status_code") == 200]
        bad = [row for row in rows if row.get("response", {}).get("status_code", 200) != 200]
        hidden = sum(row.get("word") == "!hidden" for row in rows)
        status = (
            "cancelled"
            if batch["status"] == "cancelling"
            else "completed"
            if len(rows) == len(lines)
            else "expired"
        )
        bad += [
            {
                "custom_id": line["custom_id"],
                "response": None,
                "error": {
                    "code": f"batch_{status}",
                    "message": "This request could not be executed.",
                },
            }
            for line in lines
            if line["custom_id"] not in ended
        ]
        if self.fault("twice"):
            again = json.loads(json.dumps(good[0]))
            again["response"]["body"]["choices"][0]["message"]["content"] = "second"
            good = [*good, again, {**good[0], "custom_id": "r1-stranger.1.x"}]
        else:
            random.shuffle(good)
        torn = '{"custom_id": "r1-' if self.fault("torn") else ""
        for kind, some in (("output", good), ("error", bad)):
            if some:
                text = "".join(json.dumps(row) + "\n" for row in some) + (
                    torn if kind == "output" else ""
                )
                self.files[f"{batch['id']}_{kind}"] = (kind, text.encode())
                batch[f"{kind}_file_id"] = f"{batch['id']}_{kind}"
        batch["request_counts"] = {
            "total": len(lines),
            "completed": len(
                {row["custom_id"] for row in good if "stranger" not in row["custom_id"]}
            )
            + hidden,
            "failed": len(bad),
        }
        batch["status"] = status

    async def look(self, http: web.Request) -> web.Response:
        if self.fault("poll_busy"):
            return web.json_response({"error": {"message": "oops"}}, status=500)
        if self.fault("poll_denied"):
            return web.json_response({"error": {"message": "who are you"}}, status=401)
        batch = self.batches.get(http.match_info["id"])
        if batch and self.faults.get("uncounted"):
            batch = {**batch, "request_counts": None}
        return web.json_response(batch) if batch and not self.faults.get("forgets") else not_there()

    async def list(self, http: web.Request) -> web.Response:
        newest = [*self.batches.values()][::-1]
        at = [place for place, batch in enumerate(newest) if batch["id"] == http.query.get("after")]
        newest = newest[at[0] + 1 if at else 0 :]
        return web.json_response(
            {"data": newest[:2], "has_more": len(newest) > 2}
        )  # a page is small

    async def cancel(self, http: web.Request) -> web.Response:
        batch = self.batches.get(http.match_info["id"])
        if not batch or self.faults.get("forgets"):
            return not_there()
        if batch["status"] == "in_progress":
            batch["status"] = "cancelling"
        return web.json_response(batch)

    async def online(self, http: web.Request) -> web.Response:
        self.books["online"] += 1
        return web.json_response(reply_to(await http.json()))


def reply_to(body: JSON) -> JSON:
    text = body["messages"][-1]["content"]
    return {
        "choices": [{"message": {"content": f"reply to {text}"}, "finish_reason": "stop"}],
        "model": "m-2026-11-01",
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def cut(http: web.Request) -> web.Response:
    assert http.transport is not None
    http.transport.abort()
    return web.Response()


def not_there() -> web.Response:
    return web.json_response({"error": {"message": "not there"}}, status=404)


async def serve() -> None:
    provider = Provider()

    async def faults(http: web.Request) -> web.Response:
        provider.faults = await http.json()
        return web.json_response({})

    async def books(http: web.Request) -> web.Response:
        return web.json_response(
            {
                **provider.books,
                "files": len(provider.files),
                "batches": [*provider.batches.values()],
            }
        )

    @web.middleware
    async def killing(http: web.Request, handler: Any) -> web.StreamResponse:
        """At the n-th call the client dies: before it is done here, or when it is and nobody has heard."""
        victim = provider.faults.get("kill")
        if not victim or not http.path.startswith("/v1"):
            return await handler(http)
        victim["calls"] -= 1
        if victim["calls"] == 0 and victim["before"]:
            os.kill(victim["pid"], signal.SIGKILL)
        answer = await handler(http)
        if victim["calls"] == 0 and not victim["before"]:
            os.kill(victim["pid"], signal.SIGKILL)
        return answer

    app = web.Application(client_max_size=1 << 28, middlewares=[killing])
    app.add_routes(
        [
            web.post("/v1/files", provider.upload),
            web.get("/v1/files", provider.list_files),
            web.get("/v1/files/{id}/content", provider.content),
            web.delete("/v1/files/{id}", provider.delete),
            web.post("/v1/batches", provider.create),
            web.get("/v1/batches", provider.list),
            web.get("/v1/batches/{id}", provider.look),
            web.post("/v1/batches/{id}/cancel", provider.cancel),
            web.post("/v1/chat/completions", provider.online),
            web.put("/faults", faults),
            web.get("/books", books),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


class Running:
    """The server, from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def faults(self, **faults: Any) -> None:
        request = urllib.request.Request(
            f"{self.url}/faults", json.dumps(faults).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()

    def books(self) -> JSON:
        with urllib.request.urlopen(f"{self.url}/books") as said:
            return dict(json.load(said))


@contextmanager
def running() -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.teachers.batch_server"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Running(process.stdout.readline().strip())
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve())
