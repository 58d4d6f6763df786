"""`alpaca-pipe watch`: the page of a run on a port of this machine, which only looks and takes no orders."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.pages.door import Door
from alpaca_pipe.pages.listening import (
    SAFE_HEADERS,
    Address,
    Stop,
    answering,
    taken_port,
    until_signal,
    url_of,
)
from alpaca_pipe.pages.page_parts import filled
from alpaca_pipe.watch.look import WatchedRecipe, look

if TYPE_CHECKING:
    from aiohttp.web import Application, Request, StreamResponse

TEMPLATE = Path(__file__).with_name("watch_page.html")
_FRESH = 1.0  # seconds that one look serves all who ask; after a slow one, so many times as long as it took:
_REST = 10  # a large ledger costs a watcher a tenth of a core at most
HOST = "127.0.0.1"


def watch(watched: WatchedRecipe, port: int, tell: Callable[[str], None]) -> None:
    """Answers until Ctrl-C or SIGTERM. tell: gets the page's address, once it answers.  Raises UserError for a port in use."""
    with taken_port(Address(HOST, port)) as taken:
        asyncio.run(_watch(watched, taken, tell))


async def _watch(watched: WatchedRecipe, taken: socket.socket, tell: Callable[[str], None]) -> None:
    with contextlib.suppress(Stop):
        async with until_signal(), answering(WatchPage(watched).app(), taken):
            tell(url_of(HOST, taken) + "/")
            await asyncio.Event().wait()


@dataclass
class WatchPage:
    """The page at `/`, what it shows at `/state.json`, and at `/report` the report of the last run that ended."""

    watched: WatchedRecipe
    _said: dict[str, Any] = field(default_factory=dict)
    _until: float = 0.0
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def app(self) -> Application:
        from aiohttp import web

        app = web.Application(middlewares=[_guarded(Door(HOST, ""))])
        app.router.add_get("/", self._page)
        app.router.add_get("/state.json", self._state)
        app.router.add_get("/report", self._report)
        return app

    async def _page(self, request: Request) -> StreamResponse:
        from aiohttp import web

        name = self.watched.recipe
        text = filled(TEMPLATE, f"{name} · watch", {"recipe": name})
        return web.Response(text=text, content_type="text/html")

    async def _state(self, request: Request) -> StreamResponse:
        from aiohttp import web

        async with self._looking:  # however many watch, the disk is looked at once
            if (began := time.monotonic()) >= self._until:
                self._said = asdict(await asyncio.to_thread(look, self.watched))
                ended = time.monotonic()
                self._until = ended + max(_FRESH, _REST * (ended - began))
            return web.json_response(self._said)

    async def _report(self, request: Request) -> StreamResponse:
        from aiohttp import web

        try:
            text = await asyncio.to_thread(self.watched.report.read_text, "utf-8")
        except OSError:
            return web.Response(status=404, text="no run of this recipe has ended yet\n")
        return web.Response(text=text, content_type="text/html")


def _guarded(door: Door) -> Any:
    from aiohttp import web

    @web.middleware
    async def guarded(
        request: Request, handler: Callable[[Request], Awaitable[StreamResponse]]
    ) -> StreamResponse:
        refusal = door.refuses(request.headers)
        if refusal:
            return web.Response(status=refusal.status, text=refusal.says + "\n")
        response = await handler(request)
        response.headers.update(SAFE_HEADERS)
        return response

    return guarded
