"""What a gateway wrote in a reply's place: its own words about a failure, with a usage that counts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.teachers.base import Failure

_A_SENTENCE = 300  # characters
_WORDS = lazy_regex(
    r"(?i)\A\W*(?:gateway|proxy|router|relay|error)\b|\bupstream\b|\b(?:bad|api) gateway\b|"
    r"\bempty (?:response|reply|completion)\b|\bservice (?:is )?(?:temporarily )?unavailable\b|\brate[ -]limit(?:ed)?\b|"
    r"\binternal (?:server )?error\b|\bno (?:response|content|provider)\b.{0,40}\b(?:returned|received|available|provider|model)\b"
)


def refuse_gateway_text(said: Mapping[str, Any], reply: Completion) -> None:
    """Raises Failure where a reply is not the model's. said: its JSON. Without a usage nobody knows, so it is a reply."""
    usage = said.get("usage")
    if reply.finish != "stop" or not isinstance(usage, Mapping) or reply.doubt:
        return
    if any(usage.get(name) != 0 for name in ("prompt_tokens", "completion_tokens")):
        return
    text = " ".join(reply.text.split())
    if len(text) <= _A_SENTENCE and _WORDS.search(text):
        raise Failure(
            f"a gateway answered in the teacher's place, and counts no tokens: {text}",
            sent="refused",
            retry=True,
            of_the_request=True,
        )
