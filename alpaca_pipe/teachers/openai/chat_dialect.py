"""The chat dialect: POST /chat/completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.teachers.base import NO_FIELDS, SentFields, Speaks
from alpaca_pipe.teachers.openai.reply_json import (
    NO_LIMITS,
    OpenAIDialect,
    completion,
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


class OpenAIChat(OpenAIDialect):
    """Asked in messages."""

    speaks: Speaks = "chat"
    takes = TAKES
    route = "/chat/completions"

    def body(self, model: str, request: Request, decoding: Mapping[str, Any]) -> dict[str, Any]:
        messages = [
            {"role": message.role, "content": message.content} for message in request.messages
        ]
        return {"model": model, "messages": messages, **decoding}

    def completion(
        self,
        said: Mapping[str, Any],
        key: str,
        limits: Mapping[str, str] = NO_LIMITS,
        sent: SentFields = NO_FIELDS,
    ) -> Completion:
        return completion_of(said, key, limits, sent)


CHAT = OpenAIChat()


def completion_of(
    reply: Mapping[str, Any],
    key: str,
    limits: Mapping[str, str] = NO_LIMITS,
    sent: SentFields = NO_FIELDS,
) -> Completion:
    """A reply's JSON as ours, whether it came by itself or as a line of a batch."""
    choice = reply["choices"][0]
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    refusal = text_of(message.get("refusal"))
    read = completion(
        reply,
        key,
        refusal or text_of(message.get("content")),
        choice.get("finish_reason"),
        limits,
        sent,
    )
    if (told := choice.get("logprobs")) is not None:
        from alpaca_pipe.core.token_choices import choices_of_chat

        read = replace(read, choices=choices_of_chat(told))
    return replace(read, finish="refused", remark="") if refusal else read
