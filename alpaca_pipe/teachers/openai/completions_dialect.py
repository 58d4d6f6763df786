"""The legacy dialect: POST /completions, a text to be continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.teachers.base import NO_FIELDS, Fatal, SentFields, Speaks
from alpaca_pipe.teachers.openai.reply_json import (
    NO_LIMITS,
    OpenAIDialect,
    completion,
    text_of,
)

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


class OpenAICompletions(OpenAIDialect):
    """Given a text to be continued: the request's one user message."""

    speaks: Speaks = "completions"
    takes = TAKES
    route = "/completions"

    def body(self, model: str, request: Request, decoding: Mapping[str, Any]) -> dict[str, Any]:
        if [message.role for message in request.messages] != ["user"]:
            raise Fatal(
                "a completions teacher continues one text, and was given a conversation",
                "use kind: openai_chat, or a generate style that asks for a continuation",
            )
        return {"model": model, "prompt": request.messages[0].content, **decoding}

    def completion(
        self,
        said: Mapping[str, Any],
        key: str,
        limits: Mapping[str, str] = NO_LIMITS,
        sent: SentFields = NO_FIELDS,
    ) -> Completion:
        choice = said["choices"][0]
        read = completion(
            said,
            key,
            text_of(choice.get("text")),
            choice.get("finish_reason"),
            limits,
            sent,
        )
        if (told := choice.get("logprobs")) is None:
            return read
        from alpaca_pipe.core.token_choices import choices_of_completions

        return replace(read, choices=choices_of_completions(told))


COMPLETIONS = OpenAICompletions()
