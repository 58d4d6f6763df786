"""The legacy dialect: POST /completions, a text to be continued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.base import Fatal
from alpaca_pipe.teachers.openai.error_mapping import Refused
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection, completion, finish_of, text_of

TAKES = frozenset(
    {
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "suffix",
        "best_of",
    }
)


class OpenAICompletions:
    """A teacher that continues a text: the request's one user message."""

    def __init__(self, wire: HttpConnection, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self.takes = wire.takes
        self._wire = wire

    async def ask(self, request: Request, name: str = "") -> Completion:
        if [message.role for message in request.messages] != ["user"]:
            raise Fatal(
                "a completions teacher continues one text, and was given a conversation",
                "use kind: openai_chat, or a generate style that asks for a continuation",
            )
        key = "" if name else request.key(self.identity)
        try:
            reply = await self._wire.post(
                "/completions", request, {"prompt": request.messages[0].content}, name
            )
        except Refused as refused:
            return Completion(refused.reason, refused.finish, Usage(), key)
        choice = reply.json["choices"][0]
        return completion(
            reply.json,
            key,
            text_of(choice.get("text")),
            finish_of(choice.get("finish_reason")),
            reply.limits,
        )
