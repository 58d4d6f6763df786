"""The one port that clients see: it knows who may ask, which model is meant, and passes the question on to its engine.

Of an engine only what OpenAI's API has is reached, so its other doors (slots, properties, adapters) stay shut.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.pages.door import Door
from alpaca_pipe.pages.listening import SAFE_HEADERS
from alpaca_pipe.serve.fleet import Fleet

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from aiohttp.web import Application, Request, StreamResponse

_LARGEST = 16 << 20  # bytes of a request
Handler = Callable[["Request"], Awaitable["StreamResponse"]]


class NotAnswered(Exception):
    """What was asked cannot be answered: a status, and a sentence in OpenAI's form."""

    def __init__(self, status: int, says: str, kind: str = "invalid_request_error") -> None:
        super().__init__(says)
        self.status, self.says, self.kind = status, says, kind


@dataclass(frozen=True)
class Gateway:
    """pages: by path; they hold no secret and need no key, for they ask for it themselves.  posts: what they send, by path."""

    door: Door
    fleet: Fleet
    session: ClientSession
    pages: Mapping[str, Handler]
    posts: Mapping[str, Handler]

    def app(self) -> Application:
        from aiohttp import web

        app = web.Application(client_max_size=_LARGEST, middlewares=[self._guarded()])
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/{path:.+}", self._pass_on)
        for path, handler in self.pages.items():
            app.router.add_get(path, handler)
        for path, handler in self.posts.items():
            app.router.add_post(path, handler)
        return app

    def _guarded(self) -> Any:
        from aiohttp import web

        @web.middleware
        async def guarded(request: Request, handler: Handler) -> StreamResponse:
            refusal = self.door.refuses(request.headers, keyless=request.path in self.pages)
            if refusal:
                return _error(refusal.status, refusal.says, "authentication_error")
            try:
                response = await handler(request)
            except NotAnswered as error:
                return _error(error.status, error.says, error.kind)
            except web.HTTPException as error:
                return _error(error.status, f"{request.method} {request.path}: {error.reason}")
            if not response.prepared:
                response.headers.update(SAFE_HEADERS)
            return response

        return guarded

    async def _health(self, request: Request) -> StreamResponse:
        from aiohttp import web

        return web.json_response({"status": "ok"})

    async def _models(self, request: Request) -> StreamResponse:
        from aiohttp import web

        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "alpaca-pipe"}
            for name in self.fleet.models
        ]
        return web.json_response({"object": "list", "data": models})

    async def _pass_on(self, request: Request) -> StreamResponse:
        path = request.match_info["path"]
        if path not in self.fleet.engine.paths:
            raise NotAnswered(404, f"there is no /v1/{path} here")
        said = _read(await request.read())
        name = said.get("model") or self.fleet.first
        if name not in self.fleet.models:
            served = ", ".join(self.fleet.models)
            raise NotAnswered(404, f"the model {str(name)[:100]!r} is not served here: {served}")
        return await self._answered(request, path, name, said)

    async def _answered(
        self, request: Request, path: str, name: str, said: dict[str, Any]
    ) -> StreamResponse:
        import aiohttp
        from aiohttp import web

        try:
            child = await self.fleet.child(name)
        except UserError as error:
            raise NotAnswered(503, str(error), "server_error") from None
        body = said | dict(self.fleet.engine.fixed(self.fleet.choices[name]))
        headers = {"Authorization": f"Bearer {child.key}"}
        response = None
        try:
            async with self.session.post(
                f"{child.url}/{path}", json=body, headers=headers
            ) as reply:
                kind = reply.headers.get("Content-Type", "application/json")
                response = web.StreamResponse(
                    status=reply.status, headers={"Content-Type": kind, **SAFE_HEADERS}
                )
                await response.prepare(request)
                async for piece in reply.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
        except aiohttp.ClientError as error:
            if response is None:
                raise NotAnswered(
                    502, f"the engine hung up: {first_line(error)}", "server_error"
                ) from None
            if request.transport is not None:  # so that nobody takes the half for the whole
                request.transport.abort()
        assert response is not None
        return response


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAnswered(400, "the body is not JSON") from None
    if not isinstance(said, dict):
        raise NotAnswered(400, "the body is not a JSON object")
    return said


def _error(status: int, says: str, kind: str = "invalid_request_error") -> StreamResponse:
    from aiohttp import web

    error = {"message": says, "type": kind, "param": None, "code": None}
    return web.json_response({"error": error}, status=status, headers=SAFE_HEADERS)
