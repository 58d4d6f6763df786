"""What both of OpenAI's dialects read from a reply's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, Finish
from alpaca_pipe.core.text import whole
from alpaca_pipe.teachers.openai.usage import bill_of

NO_LIMITS: Mapping[str, str] = {}
_A_NAME = 200  # characters of what a server calls its model

_FINISH: dict[Any, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "stop",
    "function_call": "stop",
}


class OpenAIDialect:
    """What both have in common. route: where they differ."""

    route: ClassVar[str]

    def path(self, model: str) -> str:
        return self.route

    def headers(self, key: str) -> Mapping[str, str]:
        """Servers without keys are told that there is none, as OpenAI's SDK does."""
        return {"Authorization": f"Bearer {key or 'none'}"}

    def is_reply(self, said: Any) -> bool:
        return is_reply(said)


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
    finish: Finish,
    limits: Mapping[str, str] = NO_LIMITS,
) -> Completion:
    """What both dialects read from a reply beside its text. It is paid for, so nothing that it says of itself raises."""
    bill = bill_of(reply.get("usage"))
    return Completion(
        text,
        finish,
        bill.usage,
        key,
        text_of(reply.get("model"))[:_A_NAME],
        text_of(reply.get("system_fingerprint"))[:_A_NAME],
        billed=bill.billed,
        doubt=bill.doubt,
        limits=limits,
    )


def finish_of(said: Any) -> Finish:
    """An unknown reason counts as cut off, which is never read as whole."""
    return _FINISH.get(said, "length") if isinstance(said, str) else "length"


def text_of(said: Any) -> str:
    """A text, or the texts of a list of parts; "" for anything else."""
    if isinstance(said, list):
        parts = (part.get("text") for part in said if isinstance(part, dict))
        return whole("".join(text for text in parts if isinstance(text, str)))
    return whole(said) if isinstance(said, str) else ""
