"""The chat dialect: POST /chat/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.openai_errors import Refused
from alpaca_pipe.teachers.openai_wire import Wire, finish_of, usage_of

# n is not among them: one reply a request, so that its usage is its own (llama.cpp counts one choice only).
TAKES = frozenset({
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "presence_penalty",
    "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity", "service_tier",
})


class OpenAIChat:
    """A teacher that is asked in messages."""

    def __init__(self, wire: Wire, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self.takes = wire.takes
        self._wire = wire

    async def ask(self, request: Request, name: str = "") -> Completion:
        key = request.key(self.identity)
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            reply = await self._wire.post("/chat/completions", request, {"messages": messages}, name)
        except Refused as refused:
            return Completion(refused.reason, refused.finish, Usage(), key)
        choice = reply["choices"][0]
        message = choice.get("message") or {}
        refusal = message.get("refusal")
        return Completion(refusal or message.get("content") or "",
                          "refused" if refusal else finish_of(choice.get("finish_reason")), usage_of(reply.get("usage")),
                          key, str(reply.get("model") or ""), str(reply.get("system_fingerprint") or ""))
