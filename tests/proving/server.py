"""A server that speaks OpenAI's protocol, in its own process, with its own books and its own bad days.

`python -m tests.proving.server '{"books": ...}'` prints {"url": ...} when it listens and leaves when its stdin closes.
Beside OpenAI's routes: POST /admin/weather (settings to change), GET /admin/state, GET /admin/quiet (answers when nothing
is in flight), GET /books/focus.csv, GET /books/costs.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import NormalDist
from typing import Any

from aiohttp import web

from alpaca_pipe.teachers.local.child_process import lifeline
from tests.proving import faults, replies
from tests.proving.batches import Batches
from tests.proving.books import CLASSES, Books, Row, billed
from tests.proving.dialects import DIALECTS, protocol_of
from tests.proving.dialects.base import Refusal, ServedDialect
from tests.proving.judge_replies import judgement
from tests.proving.limits import Limits
from tests.proving.message_batches import MessageBatchOffice
from tests.proving.released import Released
from tests.proving.settings import Settings
from tests.proving.strict import refused_by_model
from tests.proving.tuning import TuningOffice

_NAME, _DRAW = "X-Client-Request-Id", "X-Draw"
_NO_REPLIES = (
    b"\xff\xfe\x00" * 2000,
    b"[" * 20_000,
    b'{"choices": [{"message": {"content": "x"}}], "usage": 1e999',
    b"<html><script>alert(1)</script>\x1b[2J",
    b"",
    b"x" * (6 << 20),
)
_ABSURD_HEADERS = {
    "Retry-After": "1e400",
    "x-ratelimit-limit-requests": "9" * 400,
    "x-ratelimit-remaining-requests": "-1",
    "x-ratelimit-reset-requests": "1e400s",
    "x-ratelimit-reset-tokens": "9999-99-99",
}
_FLUSH_EVERY = 0.2  # seconds


class Server:
    """All state of one server; `answer` is one HTTP request to a model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.books = Books(Path(settings.books))
        self.limits = Limits.of(settings)
        self.batches = Batches(self)
        self.messages = MessageBatchOffice(self)
        self.released = Released(Path(settings.released)) if settings.released else None
        self.asked: Counter[str] = Counter()  # how often each question arrived
        self.seeds: dict[str, Any] = {}  # the first of each request
        self.met: Counter[str] = Counter()  # faults
        self.arrived = self.answered = self.in_flight = self.most_in_flight = 0
        self._script = deque(settings.script)

    async def answer(self, http: web.Request) -> web.StreamResponse:
        self.arrived += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(http, time.time())
        finally:
            self.in_flight -= 1

    async def _answer(self, http: web.Request, at: float) -> web.StreamResponse:
        spoken = protocol_of(http)
        try:
            body = spoken.asked(http, json.loads(await http.read()))
        except Refusal as refusal:
            said = spoken.error(400, "invalid_request_error", str(refusal))
            return web.json_response(said, status=400)
        name = http.headers.get(_NAME, "")
        asked = self.question(body, name, http.headers.get(_DRAW, ""))
        fault, nature = self._fault(asked), self.nature(asked)
        if fault not in (*faults.ERRORS, *faults.UNBILLED):
            fault = self._refused(http, body) or (nature if nature in faults.ERRORS else fault)
        if not fault and self._fails_by_seed(body):
            fault = "500_seed"
        model = str(body.get("model", ""))

        def enter(status: int, **used: int) -> None:
            if fault or nature:
                self.met[fault or nature] += 1
            self.books.enter(Row(at, name, asked, model, status, fault or nature, **used))

        if fault in faults.ERRORS:
            enter(faults.ERRORS[fault][0])
            return self._error(fault, spoken)
        if self.settings.strict and (refusal := refused_by_model(body)):
            fault = f"strict {refusal['error']['param']}"
            enter(400)
            return web.json_response(refusal, status=400)
        reserved = replies.prompt_tokens(body) + int(
            body.get("max_completion_tokens") or body.get("max_tokens") or 0
        )
        limit, wait = self.limits.admit(reserved)
        if limit:
            fault = "limit"
            enter(429)
            return self._over(limit, wait)
        if fault in faults.UNBILLED:
            enter(0)
            return await self._unanswered(http, fault)
        await asyncio.sleep(self._latency(asked))
        told = (
            self.released.reply(asked, body, self.settings.applies_stop)
            if self.released
            else judgement(asked, body, self.settings.judge, self.settings.judge_broken)
        )
        reply = replies.reply_to(asked, body, self.settings, nature, told)
        self.limits.used(reserved, reply.tokens)
        used = {name: getattr(reply, name) for name in CLASSES}
        if fault == "gateway_text":  # the gateway's own words: nobody generated them
            enter(200)
        else:
            enter(200, **used, nanodollars=sum(billed(reply, self.settings.price).values()))
        if fault in ("reset_billed", "hang_billed"):
            return await self._unanswered(http, fault)
        said = json.dumps(spoken.says(reply, body, self.settings, fault)).encode()
        if fault in ("cut_body", "cut_chunks"):
            return await _cut(http, said, chunked=fault == "cut_chunks")
        if fault == "malformed":
            said = said[: -len(said) // 3]
        if fault == "hostile":
            return _hostile(asked)
        self.answered += fault not in faults.BROKEN
        kind = "application/json"
        if fault == "sse":
            said, kind = replies.as_stream(json.loads(said)), "text/event-stream"
        return web.Response(body=said, content_type=kind, headers=self.limits.headers())

    def question(self, body: Mapping[str, Any], name: str, draw: str = "") -> str:
        """Who asks again with another seed has asked the same. name: of the attempt, its request's before its number."""
        request = name.rpartition(".")[0].rpartition(".")[0]
        if request and "seed" in body:
            body = {**body, "seed": self.seeds.setdefault(request, body["seed"])}
        return replies.question(body, draw)

    def nature(self, asked: str) -> str:
        settings = self.settings
        return (
            faults.drawn(
                settings.nature, faults.NATURE, faults.chance(settings.seed, "nature", asked)
            )
            if settings.nature
            else ""
        )

    def _fault(self, asked: str) -> str:
        self.asked[asked] += 1
        if self._script:
            return self._script.popleft()
        settings = self.settings
        if not settings.faults:
            return ""
        return faults.drawn(
            settings.faults, faults.ATTEMPT, faults.chance(settings.seed, asked, self.asked[asked])
        )

    def _refused(self, http: web.Request, body: Mapping[str, Any]) -> str:
        if not (body.get("messages") or body.get("prompt")):
            return "nothing_asked"
        if self.settings.key and protocol_of(http).key(http) != self.settings.key:
            return "401"
        return (
            "model_not_found"
            if self.settings.models and body.get("model") not in self.settings.models
            else ""
        )

    def _fails_by_seed(self, body: Mapping[str, Any]) -> bool:
        """Whether this prompt fails with this seed: it does not with most others."""
        share = self.settings.nature.get("500_seed", 0.0)
        asked = json.dumps([body.get("messages"), body.get("seed")])
        return share > 0 and faults.chance(self.settings.seed, "seed", asked) < share

    def _latency(self, asked: str) -> float:
        settings = self.settings
        seconds = settings.latency
        if settings.sigma:
            at = min(
                max(faults.chance("latency", settings.seed, asked, self.asked[asked]), 1e-6),
                1 - 1e-6,
            )
            seconds *= math.exp(settings.sigma * NormalDist().inv_cdf(at))
        return seconds * (1 + self.in_flight / settings.load) if settings.load else seconds

    def _error(self, fault: str, spoken: ServedDialect) -> web.Response:
        status, code, message = faults.ERRORS[fault]
        headers = self.limits.headers()
        if fault == "429_retry_after":
            headers |= _retry_after(self.settings.retry_after)
        said = spoken.error(status, code, message)
        if fault == "429_info":
            info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.31s"}
            said["error"]["details"] = [info]
        return web.json_response(said, status=status, headers=headers)

    def _over(self, limit: str, wait: float) -> web.Response:
        message = f"Rate limit reached on {limit} per min. Please try again in {wait:.3f}s."
        return web.json_response(
            replies.error(message, "rate_limit_exceeded"),
            status=429,
            headers=self.limits.headers() | _retry_after(wait),
        )

    async def _unanswered(self, http: web.Request, fault: str) -> web.Response:
        """Ends the connection, at once or when the client has left or the hang is over."""
        if fault.startswith("hang"):
            until = time.monotonic() + self.settings.hang
            while (
                http.transport is not None
                and not http.transport.is_closing()
                and time.monotonic() < until
            ):
                await asyncio.sleep(0.05)
        if http.transport is not None:
            http.transport.abort()
        return web.Response(status=500)

    # ---- beside OpenAI's routes

    async def models(self, http: web.Request) -> web.Response:
        if self._refused(http, {"messages": "none", "model": next(iter(self.settings.models), "")}):
            return self._error("401", protocol_of(http))
        return web.json_response(protocol_of(http).listed(self.settings.models))

    async def weather(self, http: web.Request) -> web.Response:
        changes = await http.json()
        self.settings = Settings.of(asdict(self.settings) | changes)
        if (
            "script" in changes
        ):  # what is scripted comes after what is still to come; an empty one takes that back
            self._script = deque((*self._script, *changes["script"]) if changes["script"] else ())
        if changes.keys() & {"requests_per_minute", "tokens_per_minute", "counts", "standing"}:
            self.limits = Limits.of(self.settings)
        return web.json_response({})

    async def state(self, http: web.Request) -> web.Response:
        return web.json_response(
            {
                "arrived": self.arrived,
                "questions": len(self.asked),
                "answered": self.answered,
                "in_flight": self.in_flight,
                "most_in_flight": self.most_in_flight,
                "charged": self.limits.charged,
                "applies_stop": self.settings.applies_stop,
                "faults": {name: times for name, times in self.met.items() if times},
                "at": time.monotonic(),
            }
        )

    async def quiet(self, http: web.Request) -> web.Response:
        while self.in_flight or self.batches.working or self.messages.working:
            await asyncio.sleep(0.01)
        self.books.flush()
        return web.json_response({})

    async def focus(self, http: web.Request) -> web.Response:
        return web.Response(text=self.books.focus(), content_type="text/csv")

    async def costs(self, http: web.Request) -> web.Response:
        prices = {False: self.settings.price, True: self.settings.batch_price}
        return web.Response(text=self.books.costs(prices), content_type="application/json")

    async def flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            await asyncio.to_thread(self.books.flush)


def _retry_after(seconds: float) -> dict[str, str]:
    return {
        "retry-after": str(math.ceil(seconds)),
        "retry-after-ms": str(math.ceil(seconds * 1000)),
    }


def _hostile(asked: str) -> web.Response:
    """Bytes that are no reply, whichever they are."""
    seed = faults.chance("hostile", asked)
    body = _NO_REPLIES[int(seed * len(_NO_REPLIES))]
    return web.Response(body=body, content_type="application/json", headers=_ABSURD_HEADERS)


async def _cut(http: web.Request, said: bytes, chunked: bool) -> web.StreamResponse:
    """The first half of a reply, then the end of the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(said)
    with contextlib.suppress(ConnectionError):
        await response.prepare(http)
        await response.write(said[: len(said) // 2])
    if http.transport is not None:
        http.transport.close()
    return response


async def serve(settings: Settings) -> None:
    tell = lifeline()
    server = Server(settings)
    app = web.Application(client_max_size=1 << 28)
    for path in dict.fromkeys(path for one in DIALECTS for path in one.posts):
        app.router.add_post(path, server.answer)
    for path in dict.fromkeys(one.lists for one in DIALECTS):
        app.router.add_get(path, server.models)
    app.router.add_post("/admin/weather", server.weather)
    app.router.add_get("/admin/state", server.state)
    app.router.add_get("/admin/quiet", server.quiet)
    app.router.add_get("/books/focus.csv", server.focus)
    app.router.add_get("/books/costs.json", server.costs)
    app.router.add_routes(server.batches.routes())
    app.router.add_routes(server.messages.routes())
    app.router.add_routes(TuningOffice().routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    tell({"url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1"})
    await server.flushing()


if __name__ == "__main__":
    asyncio.run(serve(Settings.of(json.loads(sys.argv[1]))))
