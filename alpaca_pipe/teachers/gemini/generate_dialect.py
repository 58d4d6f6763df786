"""Gemini's own dialect: POST /models/MODEL:generateContent.

Field names, words and usage as the SDK `google-genai` 3.6.1 has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.token_choices import choices_of_gemini
from alpaca_pipe.teachers.base import NO_FIELDS, SentFields, Speaks
from alpaca_pipe.teachers.openai.finish_words import finish_of
from alpaca_pipe.teachers.openai.reply_json import NO_LIMITS, text_of
from alpaca_pipe.teachers.openai.response_schema import schema_in
from alpaca_pipe.teachers.openai.usage import Absurd, BilledUsage, count, within

Thinking = Literal["none", "minimal", "low", "medium", "high"]

# OpenAI's names, and Gemini's in generationConfig.
_NAMES = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_A_NAME = 200
NOTHING_MORE: Mapping[str, Any] = {}


class GeminiGenerate:
    """Asked in contents, the system's beside them. thinking: how hard it thinks first; None: as the model does by itself."""

    speaks: Speaks = "chat"
    takes = frozenset({*_NAMES, "response_format"})
    online: Mapping[str, Any] = NOTHING_MORE

    def __init__(self, thinking: Thinking | None = None) -> None:
        self.thinking = thinking

    def path(self, model: str) -> str:
        return f"/models/{quote(model.removeprefix('models/'), safe='')}:generateContent"

    def models_path(self) -> str:
        return "/models?pageSize=1000"

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def body(self, model: str, request: Request, decoding: Mapping[str, Any]) -> dict[str, Any]:
        roles = {"user": "user", "assistant": "model"}
        body: dict[str, Any] = {
            "contents": [
                {"role": roles[one.role], "parts": [{"text": one.content}]}
                for one in request.messages
                if one.role != "system"
            ]
        }
        if told := [one.content for one in request.messages if one.role == "system"]:
            body["systemInstruction"] = {"parts": [{"text": text} for text in told]}
        config = {_NAMES[name]: value for name, value in decoding.items() if name in _NAMES}
        if isinstance(config.get("stopSequences"), str):
            config["stopSequences"] = [config["stopSequences"]]
        if (wanted := decoding.get("response_format")) is not None:
            config |= {
                "responseMimeType": "application/json",
                "responseJsonSchema": schema_in(wanted),
            }
        if self.thinking == "none":
            config["thinkingConfig"] = {"thinkingBudget": 0}
        elif self.thinking is not None:
            config["thinkingConfig"] = {"thinkingLevel": self.thinking.upper()}
        return body | ({"generationConfig": config} if config else {})

    def is_reply(self, said: Any) -> bool:
        """With a candidate, or with the reason why the prompt was blocked."""
        if not isinstance(said, dict):
            return False
        candidates = said.get("candidates")
        one = candidates[0] if isinstance(candidates, list) and candidates else None
        return isinstance(one, dict) or bool(_blocked(said))

    def listed(self, said: Any) -> list[dict[str, Any]]:
        rows = said.get("models") if isinstance(said, dict) else None
        return [
            row | {"id": str(row.get("name", "")).removeprefix("models/")}
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
        ]

    def completion(
        self,
        said: Mapping[str, Any],
        key: str,
        limits: Mapping[str, str] = NO_LIMITS,
        sent: SentFields = NO_FIELDS,
    ) -> Completion:
        bill = bill_of(said.get("usageMetadata"))
        served = text_of(said.get("modelVersion"))[:_A_NAME]
        candidates = said.get("candidates")
        if not (isinstance(candidates, list) and candidates):
            return Completion(
                "", "content_filter", bill.usage, key, served, doubt=bill.doubt, limits=limits
            )
        one = candidates[0]
        content = one.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        ended, odd = finish_of(one.get("finishReason"), bill.usage.tokens_out, sent.limit)
        return Completion(
            text_of(
                [part for part in parts if _is_answer(part)] if isinstance(parts, list) else ""
            ),
            ended,
            bill.usage,
            key,
            served,
            doubt=bill.doubt,
            limits=limits,
            remark=odd,
            choices=choices_of_gemini(one.get("logprobsResult")),
        )


def _is_answer(part: Any) -> bool:
    return isinstance(part, dict) and part.get("thought") is not True


def _blocked(said: Mapping[str, Any]) -> str:
    feedback = said.get("promptFeedback")
    return text_of(feedback.get("blockReason")) if isinstance(feedback, Mapping) else ""


def bill_of(said: Any) -> BilledUsage:
    """`usageMetadata` in classes that exclude each other: promptTokenCount is with what was read from the cache,
    candidatesTokenCount without the thoughts. A doubt where they do not sum to the total, or are no counts."""
    try:
        found = within({"usageMetadata": said}, "usageMetadata")
        prompt = count(found, "promptTokenCount") + count(found, "toolUsePromptTokenCount")
        read = min(count(found, "cachedContentTokenCount"), prompt)
        usage = Usage(
            uncached_in=prompt - read,
            cache_read=read,
            visible_out=count(found, "candidatesTokenCount"),
            reasoning_out=count(found, "thoughtsTokenCount"),
        )
        total = count(found, "totalTokenCount")
    except Absurd as absurd:
        return BilledUsage(Usage(), doubt=f"its usage figures make no sense ({absurd})")
    summed = usage.tokens_in + usage.tokens_out
    if total in (0, summed):
        return BilledUsage(usage)
    return BilledUsage(
        usage, doubt=f"its classes of tokens sum to {summed}, and its total says {total}"
    )
