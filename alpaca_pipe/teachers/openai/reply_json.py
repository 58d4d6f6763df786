"""What both of OpenAI's dialects read from a reply's JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.text import whole
from alpaca_pipe.teachers.base import NO_FIELDS, SentFields

NO_LIMITS: Mapping[str, str] = {}
_A_NAME = 200  # characters of what a server calls its model

_THOUGHT = re.compile(r"think|thought|reason")  # types of a part that is no answer


class OpenAIDialect:
    """What both have in common. route: where they differ."""

    route: ClassVar[str]
    online: Mapping[str, Any] = {
        "stream": False
    }  # some gateways stream unless they are told not to

    def path(self, model: str) -> str:
        return self.route

    def headers(self, key: str) -> Mapping[str, str]:
        """Servers without keys are told that there is none, as OpenAI's SDK does."""
        return {"Authorization": f"Bearer {key or 'none'}"}

    def models_path(self) -> str:
        return "/models"

    def listed(self, said: Any) -> list[dict[str, Any]]:
        return listed(said)

    def is_reply(self, said: Any) -> bool:
        return is_reply(said)


def listed(said: Any) -> list[dict[str, Any]]:
    rows = said.get("data") if isinstance(said, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def is_reply(said: Any) -> bool:
    """Whether the JSON of a 200 has the shape of a reply, and did not end in an error."""
    return (
        isinstance(said, dict)
        and isinstance(said.get("choices"), list)
        and bool(said["choices"])
        and isinstance(said["choices"][0], dict)
        and said["choices"][0].get("finish_reason") != "error"
    )


def completion(
    reply: Mapping[str, Any],
    key: str,
    text: str,
    finish: Any,
    limits: Mapping[str, str] = NO_LIMITS,
    sent: SentFields = NO_FIELDS,
) -> Completion:
    """What both dialects read from a reply beside its text. It is paid for, so nothing that it says of itself raises.
    finish: its own word for how it ended."""
    # `plan` knows a dialect and reads no reply
    from alpaca_pipe.teachers.openai.finish_words import finish_of
    from alpaca_pipe.teachers.openai.usage import bill_of

    bill = bill_of(reply.get("usage"))
    ended, odd = finish_of(finish, bill.usage.tokens_out, sent.limit)
    tier = reply.get("service_tier")
    return Completion(
        text,
        ended,
        bill.usage,
        key,
        text_of(reply.get("model"))[:_A_NAME],
        text_of(reply.get("system_fingerprint"))[:_A_NAME],
        billed=bill.billed,
        doubt=bill.doubt,
        limits=limits,
        remark=odd,
        tier=tier[:_A_NAME] if isinstance(tier, str) and tier != sent.tier else "",
    )


def text_of(said: Any) -> str:
    """A text, or the texts of a list of parts; "" for anything else."""
    if isinstance(said, list):
        parts = (
            part.get("text")
            for part in said
            if isinstance(part, dict) and not _THOUGHT.search(str(part.get("type")))
        )
        return whole("".join(text for text in parts if isinstance(text, str)))
    return whole(said) if isinstance(said, str) else ""
