"""The proving server in Anthropic's and in Gemini's own protocol: what it is asked, what it says, and what it refuses.

Each protocol is put into OpenAI's words, so that replies, faults and books are the same for all. Fields as the providers' SDKs
of November 2026 have them; what those APIs do not take is refused in their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiohttp import web

from tests.proving import replies
from tests.proving.replies import Reply
from tests.proving.settings import Settings


class Refusal(Exception):
    """400: a field that the API does not take, in its words."""


class Protocolled(Protocol):
    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        """A request in OpenAI's words. Raises Refusal."""

    def key(self, http: web.Request) -> str: ...

    def says(
        self, reply: Reply, body: Mapping[str, Any], settings: Settings, odd: str
    ) -> dict[str, Any]: ...

    def error(self, status: int, code: str, message: str) -> dict[str, Any]: ...


class OpenAI:
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


class Anthropic:
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

    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        version = http.headers.get("anthropic-version", "")
        if version not in ("2023-06-01", "2026-10-21"):
            raise Refusal("anthropic-version: header is required")
        known = self._FIELDS | (self._SAMPLING if version == "2023-06-01" else frozenset())
        _only(said, known)
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
        } | _wanted(form.get("schema"))

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


class Gemini:
    _FIELDS = frozenset(["contents", "systemInstruction", "generationConfig", "safetySettings"])
    _CONFIG = frozenset(
        [
            "maxOutputTokens",
            "temperature",
            "topP",
            "topK",
            "stopSequences",
            "seed",
            "presencePenalty",
            "frequencyPenalty",
            "responseLogprobs",
            "logprobs",
            "responseMimeType",
            "responseJsonSchema",
            "thinkingConfig",
        ]
    )
    _STATUS: Mapping[int, str] = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    }
    _ENDS: Mapping[str, str] = {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
    }

    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        _only(said, self._FIELDS)
        config = said.get("generationConfig") or {}
        _only(config, self._CONFIG)
        if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
            raise Refusal("a response schema wants responseMimeType application/json")
        roles = {"user": "user", "model": "assistant"}
        told = [
            {"role": "system", "content": part["text"]}
            for part in (said.get("systemInstruction") or {}).get("parts", ())
        ]
        turns = [
            {"role": roles[one["role"]], "content": "".join(p["text"] for p in one["parts"])}
            for one in said.get("contents", ())
        ]
        return (
            {"model": http.match_info["model"], "messages": [*told, *turns]}
            | ({"max_tokens": config["maxOutputTokens"]} if "maxOutputTokens" in config else {})
            | ({"seed": config["seed"]} if "seed" in config else {})
            | ({"top_logprobs": config["logprobs"]} if config.get("responseLogprobs") else {})
            | _wanted(config.get("responseJsonSchema"))
        )

    def key(self, http: web.Request) -> str:
        bearer = http.headers.get("Authorization", "")  # Google takes it for an OAuth token
        return "" if bearer else http.headers.get("x-goog-api-key", "")

    def says(
        self, reply: Reply, body: Mapping[str, Any], settings: Settings, odd: str
    ) -> dict[str, Any]:
        prompt = reply.uncached_in + reply.cache_read
        usage = {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": reply.cache_read,
            "candidatesTokenCount": reply.visible_out,
            "thoughtsTokenCount": reply.reasoning_out,
            "totalTokenCount": prompt
            + reply.visible_out
            + reply.reasoning_out
            + (1001 if odd == "usage_not_summing" else 0),
        }
        thought = [{"text": "Hm.", "thought": True}] if reply.reasoning_out else []
        told = replies.alternatives(reply.text, body.get("top_logprobs", 0))
        rows = [[{"token": token, "logProbability": level} for token, level in one] for one in told]
        answer: dict[str, Any] = {
            "candidates": [
                {
                    "index": 0,
                    "content": {"role": "model", "parts": [*thought, {"text": reply.text}]},
                    "finishReason": self._ENDS[reply.finish],
                }
                | (
                    {
                        "logprobsResult": {
                            "chosenCandidates": [one[0] for one in rows],
                            "topCandidates": [{"candidates": one} for one in rows],
                        }
                    }
                    if "top_logprobs" in body
                    else {}
                )
            ],
            "modelVersion": settings.model_said or body.get("model", ""),
            "responseId": "r",
        }
        return answer if odd == "usage_missing" else answer | {"usageMetadata": usage}

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        return {
            "error": {
                "code": status,
                "message": message,
                "status": self._STATUS.get(status, "UNKNOWN"),
            }
        }


OPENAI, ANTHROPIC, GEMINI = OpenAI(), Anthropic(), Gemini()


def protocol_of(http: web.Request) -> Protocolled:
    if http.path.endswith("/messages") or "anthropic-version" in http.headers:
        return ANTHROPIC
    return GEMINI if http.path.startswith("/v1beta/") else OPENAI


def listed(http: web.Request, models: Iterable[str]) -> dict[str, Any]:
    """The provider's list of models."""
    match protocol_of(http):
        case Anthropic():
            rows = [{"id": name, "type": "model", "lifecycle": "active"} for name in models]
            return {"data": rows, "has_more": False}
        case Gemini():
            return {"models": [{"name": f"models/{name}"} for name in models]}
        case _:
            return {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}


def _only(said: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in said:
        if name not in known:
            raise Refusal(f"{name}: Extra inputs are not permitted")


def _wanted(schema: Any) -> dict[str, Any]:
    """The schema under the name that replies.py knows it by."""
    if schema is None:
        return {}
    name = "tasks" if "tasks" in (schema.get("properties") or {}) else "other"
    return {"response_format": {"json_schema": {"name": name, "schema": schema}}}
