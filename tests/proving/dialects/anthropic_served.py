"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from tests.proving.dialects.base import Refusal, ServedDialect, only, wanted
from tests.proving.replies import Reply
from tests.proving.settings import Settings


class Anthropic(ServedDialect):
    kind = "anthropic_messages"
    posts = ("/v1/messages",)
    takes_temperature = False  # since the version of October 2026

    _FIELDS = frozenset(
        [
            "model",
            "max_tokens",
            "messages",
            "system",
            "stop_sequences",
            "thinking",
            "output_config",
            "cache_control",
            "metadata",
            "service_tier",
        ]
    )
    _SAMPLING = frozenset({"temperature", "top_p", "top_k"})
    _TYPES: Mapping[int, str] = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    _ENDS: Mapping[str, str] = {
        "stop": "end_turn",
        "length": "max_tokens",
        "content_filter": "refusal",
    }

    def speaks(self, http: web.Request) -> bool:
        return http.path.endswith("/messages") or "anthropic-version" in http.headers

    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        version = http.headers.get("anthropic-version", "")
        if version not in ("2023-06-01", "2026-10-21"):
            raise Refusal("anthropic-version: header is required")
        known = self._FIELDS | (self._SAMPLING if version == "2023-06-01" else frozenset())
        only(said, known)
        if not said.get("max_tokens"):
            raise Refusal("max_tokens: Field required")
        if any(one["role"] not in ("user", "assistant") for one in said.get("messages", ())):
            raise Refusal("messages.0.role: Input should be 'user' or 'assistant'")
        system = [{"role": "system", "content": said["system"]}] if said.get("system") else []
        form = (said.get("output_config") or {}).get("format") or {}
        return {
            "model": said.get("model"),
            "messages": [*system, *said.get("messages", ())],
            "max_tokens": said["max_tokens"],
        } | wanted(form.get("schema"))

    def key(self, http: web.Request) -> str:
        return http.headers.get("x-api-key", "")

    def says(
        self, reply: Reply, body: Mapping[str, Any], settings: Settings, odd: str
    ) -> dict[str, Any]:
        usage = {
            "input_tokens": reply.uncached_in,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": reply.cache_read,
            "output_tokens": reply.visible_out + reply.reasoning_out,
            "output_tokens_details": {"thinking_tokens": reply.reasoning_out},
            "service_tier": "standard",
        }
        thought = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
        text = {"type": "text", "text": reply.text}
        return {
            "id": "msg_proving",
            "type": "message",
            "role": "assistant",
            "model": settings.model_said or body.get("model", ""),
            "content": [*(thought if reply.reasoning_out else []), text],
            "stop_reason": self._ENDS[reply.finish],
            "stop_sequence": None,
            "usage": None if odd == "usage_missing" else usage,
        }

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        kind = self._TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    def listed(self, models: Iterable[str]) -> dict[str, Any]:
        rows = [{"id": name, "type": "model", "lifecycle": "active"} for name in models]
        return {"data": rows, "has_more": False}


ANTHROPIC = Anthropic()
