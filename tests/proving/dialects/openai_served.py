"""OpenAI's, chat and legacy completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from tests.proving import replies
from tests.proving.dialects.base import ServedDialect
from tests.proving.replies import Reply
from tests.proving.settings import Settings


class OpenAI(ServedDialect):
    kind = "openai_chat"
    posts = ("/v1/chat/completions", "/v1/completions")

    def speaks(self, http: web.Request) -> bool:
        return True

    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        return dict(said)

    def key(self, http: web.Request) -> str:
        return http.headers.get("Authorization", "").removeprefix("Bearer ")

    def says(
        self, reply: Reply, body: Mapping[str, Any], settings: Settings, odd: str
    ) -> dict[str, Any]:
        return replies.as_openai(reply, body, settings, "messages" in body, odd)

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        return replies.error(message, code)

    def listed(self, models: Iterable[str]) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}


OPENAI = OpenAI()
