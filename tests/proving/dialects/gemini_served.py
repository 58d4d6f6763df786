"""Gemini's generateContent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from tests.proving import replies
from tests.proving.dialects.base import Refusal, ServedDialect, only, wanted
from tests.proving.replies import Reply
from tests.proving.settings import Settings


class Gemini(ServedDialect):
    kind = "gemini"
    at = "/v1beta"
    posts = ("/v1beta/models/{model}:generateContent",)
    lists = "/v1beta/models"

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

    def speaks(self, http: web.Request) -> bool:
        return http.path.startswith("/v1beta/")

    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        only(said, self._FIELDS)
        config = said.get("generationConfig") or {}
        only(config, self._CONFIG)
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
            | wanted(config.get("responseJsonSchema"))
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

    def listed(self, models: Iterable[str]) -> dict[str, Any]:
        return {"models": [{"name": f"models/{name}"} for name in models]}


GEMINI = Gemini()
