"""The Messages dialect of Anthropic: POST /messages.

Field names, words and usage as the SDK `anthropic` 2.14.0 has them. Its API of 2026-10-21 takes no temperature, top_p or
top_k; that of 2023-06-01 does, from models before generation 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.base import NO_FIELDS, Fatal, SentFields, Speaks
from alpaca_pipe.teachers.openai.finish_words import finish_of
from alpaca_pipe.teachers.openai.reply_json import NO_LIMITS, listed, text_of
from alpaca_pipe.teachers.openai.response_schema import schema_in
from alpaca_pipe.teachers.openai.usage import Absurd, BilledUsage, count, within

Version = Literal["2026-10-21", "2023-06-01"]
Thinking = Literal["none", "low", "medium", "high", "xhigh", "max"]

_TAKES = frozenset({"max_tokens", "max_completion_tokens", "stop", "response_format"})
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_A_NAME = 200
NOTHING_MORE: Mapping[str, Any] = {}
_USUAL_TIERS = (None, "standard")


class AnthropicMessages:
    """Asked in messages, the system's beside them. thinking: how hard it thinks first; None: as the model does by itself."""

    speaks: Speaks = "chat"
    online: Mapping[str, Any] = NOTHING_MORE

    def __init__(self, version: Version = "2026-10-21", thinking: Thinking | None = None) -> None:
        self.version, self.thinking = version, thinking
        self.takes = _TAKES | (_SAMPLING if version == "2023-06-01" else frozenset())

    def path(self, model: str) -> str:
        return "/messages"

    def models_path(self) -> str:
        return "/models?limit=1000"

    def headers(self, key: str) -> Mapping[str, str]:
        named = {"anthropic-version": self.version}
        return named | ({"x-api-key": key} if key else {})

    def body(self, model: str, request: Request, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """Fatal where no limit of tokens is sent, which this API asks for."""
        fields = dict(decoding)
        limit = [fields.pop(name, None) for name in ("max_tokens", "max_completion_tokens")]
        if not any(limit):
            raise Fatal(
                "the Messages API wants a limit of tokens, and the stage sets none",
                "set max_tokens in the stage that asks",
            )
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": next(filter(None, limit)),
            "messages": [
                {"role": one.role, "content": one.content}
                for one in request.messages
                if one.role != "system"
            ],
        }
        if told := [one.content for one in request.messages if one.role == "system"]:
            body["system"] = "\n\n".join(told)
        if (stop := fields.pop("stop", None)) is not None:
            body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
        return body | self._configured(fields.pop("response_format", None)) | fields

    def _configured(self, wanted: Any) -> dict[str, Any]:
        """The form of the answer, and the thinking before it."""
        how: dict[str, Any] = {}
        if wanted is not None:
            how["format"] = {"type": "json_schema", "schema": schema_in(wanted)}
        thinking: dict[str, Any] = {}
        if self.thinking == "none":
            thinking = {"thinking": {"type": "disabled"}}
        elif self.thinking is not None:
            how["effort"] = self.thinking
            thinking = {"thinking": {"type": "adaptive"}}
        return thinking | ({"output_config": how} if how else {})

    def is_reply(self, said: Any) -> bool:
        return (
            isinstance(said, dict)
            and said.get("type") == "message"
            and isinstance(said.get("content"), list)
        )

    def listed(self, said: Any) -> list[dict[str, Any]]:
        return listed(said)

    def completion(
        self,
        said: Mapping[str, Any],
        key: str,
        limits: Mapping[str, str] = NO_LIMITS,
        sent: SentFields = NO_FIELDS,
    ) -> Completion:
        bill, usage = bill_of(said.get("usage")), said.get("usage")
        ended, odd = finish_of(said.get("stop_reason"), bill.usage.tokens_out, sent.limit)
        read = Completion(
            text_of(said["content"]),
            ended,
            bill.usage,
            key,
            text_of(said.get("model"))[:_A_NAME],
            doubt=bill.doubt,
            limits=limits,
            remark=odd,
            tier=_tier(usage) if isinstance(usage, Mapping) else "",
        )
        if said.get("stop_reason") != "refusal":
            return read
        details = said.get("stop_details")
        why = text_of(details.get("explanation")) if isinstance(details, Mapping) else ""
        return replace(read, finish="refused", text=read.text or why, remark="")


def bill_of(said: Any) -> BilledUsage:
    """`usage` in classes that exclude each other: input_tokens are without those read from the cache or written to it,
    output_tokens with the thinking. A doubt, and nothing, for figures that are no counts."""
    try:
        found = within({"usage": said}, "usage")
        out = count(found, "output_tokens")
        thought = min(count(within(found, "output_tokens_details"), "thinking_tokens"), out)
        written = count(found, "cache_creation_input_tokens")
        an_hour = count(within(found, "cache_creation"), "ephemeral_1h_input_tokens")
        usage = Usage(
            uncached_in=count(found, "input_tokens"),
            cache_read=count(found, "cache_read_input_tokens"),
            cache_write=written,
            visible_out=out - thought,
            reasoning_out=thought,
        )
    except Absurd as absurd:
        return BilledUsage(Usage(), doubt=f"its usage figures make no sense ({absurd})")
    doubt = (
        f"{an_hour:,} tokens were written to the cache for an hour, which costs more than the price of five minutes"
        if an_hour
        else ""
    )
    return BilledUsage(usage, doubt=doubt)


def _tier(usage: Mapping[str, Any]) -> str:
    """Of service or of speed, where it is another than the one that the price holds for."""
    tier, speed = usage.get("service_tier"), usage.get("speed")
    unusual = [one for one in (tier, speed) if one not in _USUAL_TIERS and isinstance(one, str)]
    return unusual[0][:_A_NAME] if unusual else ""
