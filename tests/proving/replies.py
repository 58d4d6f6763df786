"""What the server says: deterministic text and token counts by what was asked, in the shape of OpenAI's replies."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any

from tests.proving.settings import Settings

_CHARACTERS_A_TOKEN = 4
_VERBS = (
    "Describe",
    "Explain",
    "Compare",
    "Sort",
    "Rewrite",
    "Summarize",
    "Translate",
    "List",
    "Correct",
    "Plan",
    "Count",
)
_SYLLABLES = tuple(
    a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")
)
# So many words that two texts of the same twelve are rare, as in a real pool; few words would make each new row costly.
_WORDS = tuple(a + b for a in _SYLLABLES for b in _SYLLABLES)


@dataclass(frozen=True)
class Reply:
    """What is generated and billed for one question."""

    text: str
    finish: str
    uncached_in: int
    cache_read: int
    visible_out: int
    reasoning_out: int

    @property
    def tokens(self) -> int:
        return self.uncached_in + self.cache_read + self.visible_out + self.reasoning_out


def question(body: Mapping[str, Any], draw: str = "") -> str:
    """Names what was asked: the body, and which draw it is."""
    said = json.dumps(body, sort_keys=True, separators=(",", ":")) + draw
    return blake2b(said.encode(), digest_size=16).hexdigest()


def reply_to(
    asked: str,
    body: Mapping[str, Any],
    settings: Settings,
    nature: str = "",
    told: str | None = None,
) -> Reply:
    """The reply to a question; nature: "length", "content_filter" or "".  told: the text, where it is not to be invented."""
    random = Random(f"{settings.seed} {asked}")
    wanted = max(8, round(settings.tokens * math.exp(random.gauss(0, settings.tokens_sigma))))
    text, finish = _text(random, wanted, body) if told is None else told, "stop"
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 1 << 30
    reasoning = (
        min(random.randint(4, 40), limit // 4) if random.random() < settings.reasoning else 0
    )
    room = limit - reasoning
    if nature == "length":
        room = min(room, max(1, tokens(text) // 2))
    if tokens(text) > room:
        text, finish = text[: room * _CHARACTERS_A_TOKEN], "length"
    if nature == "content_filter":
        text, finish = text[: len(text) // 3], "content_filter"
    prompt = prompt_tokens(body)
    cached = (
        random.randint(1, prompt - 1) if prompt > 2 and random.random() < settings.cached else 0
    )
    return Reply(text, finish, prompt - cached, cached, tokens(text), reasoning)


def tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_A_TOKEN)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """OpenAI counts 3 tokens around each message and 3 before the reply."""
    said = [message.get("content") or "" for message in body.get("messages", ())] or [
        str(body.get("prompt", ""))
    ]
    return sum(tokens(text if isinstance(text, str) else json.dumps(text)) + 3 for text in said) + 3


def as_openai(
    reply: Reply, body: Mapping[str, Any], settings: Settings, chat: bool, odd: str = ""
) -> dict[str, Any]:
    """The JSON of a reply; odd: one of faults.ODD, or "empty_choices"."""
    model = settings.model_said or body.get("model", "")
    prompt, out = reply.uncached_in + reply.cache_read, reply.visible_out + reply.reasoning_out
    usage: dict[str, Any] | None = {
        "prompt_tokens": prompt,
        "completion_tokens": out,
        "total_tokens": prompt + out,
        "prompt_tokens_details": {"cached_tokens": reply.cache_read},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_out},
    }
    match odd:
        case "usage_missing":
            usage = None
        case "usage_zero":
            usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        case "usage_not_summing":
            usage = {**(usage or {}), "total_tokens": prompt + out + 1001}
        case "other_model":
            model = f"{model}-2026-11-20"
        case "cost_low" | "cost_high" if usage:
            usage |= {"cost": 1e-9 if odd == "cost_low" else 9.5}
        case "gateway_text":
            usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    text, finish = _oddly(reply.text, odd), reply.finish
    if odd.startswith("finish_") and finish == "stop":
        finish = {"finish_eos": "eos_token", "finish_upper": "STOP", "finish_null": None}[odd]  # type: ignore[assignment]
    told = _logprobs(reply.text, body, chat) if odd != "logprobs_missing" else None
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": told}
    choice |= (
        {"message": {"role": "assistant", "content": text, "refusal": None}}
        if chat
        else {"text": text}
    )
    answer = {
        "id": "chatcmpl-proving",
        "object": "chat.completion" if chat else "text_completion",
        "created": 1,
        "model": model,
        "system_fingerprint": "fp_proving",
        "choices": [] if odd == "empty_choices" else [choice],
    }
    answer |= {"service_tier": "priority"} if odd == "tier" else {}
    return answer if usage is None else answer | {"usage": usage}


_DRAFT = '{"tasks": [{"instruction": "Say what I only thought of.", "input": "", "output": "No."}]}'


def _oddly(text: str, odd: str) -> str:
    """The text as servers let it through that should have taken something off."""
    match odd:
        case "thinking":
            return f"<think>I could say {_DRAFT}, no.</think>\n\n{text}"
        case "thinking_closed":
            return f"I could say {_DRAFT}, no.\n</think>\n\n{text}"
        case "channels":
            return (
                f"<|channel|>analysis<|message|>I could say {_DRAFT}, no.<|end|><|start|>assistant"
                f"<|channel|>final<|message|>{text}<|return|>"
            )
        case "template_end":
            return f"{text}<|im_end|>"
        case "gateway_text":
            return "[gateway] upstream returned an empty response"
    return text


def as_stream(said: Mapping[str, Any]) -> bytes:
    """A chat reply in pieces, as server-sent events."""
    choice = said["choices"][0]
    text = choice.get("message", choice).get("content") or choice.get("text") or ""
    head = {name: value for name, value in said.items() if name not in ("choices", "usage")}
    pieces = [text[at : at + 40] for at in range(0, len(text), 40)]
    chat = "message" in choice

    def event(piece: str, finish: str | None) -> dict[str, Any]:
        part = {"delta": {"content": piece}} if chat else {"text": piece}
        return head | {"choices": [{"index": 0, "finish_reason": finish, **part}]}

    events = [event(piece, None) for piece in pieces] + [event("", choice["finish_reason"])]
    events.append(head | {"choices": [], "usage": said.get("usage")})
    return b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in events) + b"data: [DONE]\n\n"


def alternatives(text: str, count: int) -> list[list[tuple[str, float]]]:
    """For each token of a text, so many that might have been said, the said one first; the same text has the same."""
    found = []
    for start in range(0, len(text), _CHARACTERS_A_TOKEN):
        token = text[start : start + _CHARACTERS_A_TOKEN]
        random = Random(f"{text} {start}")
        others = [
            (f"{token[:2]}{number}", -1.5 * number - random.random()) for number in range(1, count)
        ]
        found.append([(token, -random.random()), *others])
    return found


def _logprobs(text: str, body: Mapping[str, Any], chat: bool) -> dict[str, Any] | None:
    """As OpenAI's two dialects tell them."""
    count = body.get("top_logprobs") if chat else body.get("logprobs")
    if not count or (chat and body.get("logprobs") is not True):
        return None
    told = alternatives(text, int(count))
    if not chat:
        return {
            "tokens": [one[0][0] for one in told],
            "token_logprobs": [one[0][1] for one in told],
            "top_logprobs": [dict(one) for one in told],
            "text_offset": [4 * place for place in range(len(told))],
        }
    rows = [
        [{"token": token, "logprob": level, "bytes": None} for token, level in one] for one in told
    ]
    return {"content": [one[0] | {"top_logprobs": one} for one in rows], "refusal": None}


def error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _text(random: Random, wanted: int, body: Mapping[str, Any]) -> str:
    """About so many tokens of words; as JSON tasks where the schema of the question asks for those."""
    words = random.choices(_WORDS, k=max(16, wanted * _CHARACTERS_A_TOKEN // 7))
    schema = (body.get("response_format") or {}).get("json_schema") or {}
    if schema.get("name") != "tasks":
        return " ".join(words)
    instruction = f"{random.choice(_VERBS)} the {' '.join(words[:12])}."
    return json.dumps(
        {"tasks": [{"instruction": instruction, "input": "", "output": " ".join(words[12:])}]}
    )
