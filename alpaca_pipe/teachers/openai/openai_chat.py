"""The chat dialect: POST /chat/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.openai.error_mapping import Refused
from alpaca_pipe.teachers.openai.http_attempt import (
    NO_LIMITS,
    HttpConnection,
    completion,
    finish_of,
    text_of,
)

# n is not among them: one reply a request, so that its usage is its own (llama.cpp counts one choice only).
TAKES = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "service_tier",
    }
)


class OpenAIChat:
    """A teacher that is asked in messages."""

    def __init__(self, wire: HttpConnection, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self.takes = wire.takes
        self._wire = wire

    async def ask(self, request: Request, name: str = "") -> Completion:
        key = (
            "" if name else request.key(self.identity)
        )  # whoever names the attempt knows its request
        try:
            reply = await self._wire.post("/chat/completions", request, asked_of(request), name)
            return completion_of(reply.json, key, reply.limits)
        except Refused as refused:
            return Completion(refused.reason, refused.finish, Usage(), key)


def asked_of(request: Request) -> dict[str, Any]:
    """The question in this dialect's fields, without decoding."""
    return {
        "messages": [
            {"role": message.role, "content": message.content} for message in request.messages
        ]
    }


def completion_of(
    reply: Mapping[str, Any], key: str, limits: Mapping[str, str] = NO_LIMITS
) -> Completion:
    """A reply's JSON as ours, whether it came by itself or as a line of a batch."""
    choice = reply["choices"][0]
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    refusal = text_of(message.get("refusal"))
    return completion(
        reply,
        key,
        refusal or text_of(message.get("content")),
        "refused" if refusal else finish_of(choice.get("finish_reason")),
        limits,
    )
