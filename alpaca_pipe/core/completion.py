"""What is asked of a teacher, what comes back, and how many tokens of each class it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Literal

from alpaca_pipe.core.fast_dataclass import compact_dataclass
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.core.thinking import written

Finish = Literal[
    "stop", "length", "content_filter", "refused", "failed"
]  # the last three are terminal: an answer, not a hole


@compact_dataclass(frozen=True)
class PromptMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@compact_dataclass(frozen=True)
class Request:
    """One question. decoding: the API's own field names (max_tokens, temperature, response_format ...)."""

    messages: tuple[
        PromptMessage, ...
    ]  # a legacy completions teacher takes one user message as its prompt
    decoding: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0  # which draw: the n-th identical request of a step asks anew

    def asked(self) -> dict[str, Any]:
        """What is asked, without whom: the part that recorded replies are found by."""
        return {
            "messages": [[m.role, m.content] for m in self.messages],
            "decoding": dict(self.decoding),
            "sample": self.sample,
        }

    def key(self, teacher: Mapping[str, Any]) -> str:
        """`r1-` + 32 hex over what is asked and whom (`identity` of the teacher: never a port that we chose)."""
        return f"r1-{digest_of({'teacher': dict(teacher), 'asked': self.asked()})[:32]}"


@compact_dataclass(frozen=True)
class Usage:
    """Tokens by class; the classes exclude each other and sum to what the provider billed."""

    uncached_in: int = 0
    cache_read: int = 0
    cache_write: int = 0
    visible_out: int = 0
    reasoning_out: int = 0

    @property
    def tokens_in(self) -> int:
        return self.uncached_in + self.cache_read + self.cache_write

    @property
    def tokens_out(self) -> int:
        return self.visible_out + self.reasoning_out


@compact_dataclass(frozen=True)
class Completion:
    """A reply. finish "length" is never parsed as whole; model_said is what the server says it served."""

    text: str
    finish: Finish
    usage: Usage
    key: str = ""
    model_said: str = ""
    fingerprint: str = ""
    from_store: bool = False  # served from our own store: costs 0, never billed again
    # Of a reply that has just come; what was settled is in the ledger.
    billed: int | None = field(
        default=None, compare=False
    )  # nano-dollars, where the provider says what it charged
    doubt: str = field(
        default="", compare=False
    )  # what cannot be right in the figures it came with, as a sentence
    limits: Mapping[str, str] = field(
        default_factory=dict, compare=False
    )  # its headers about rate limits
    remark: str = field(
        default="", compare=False
    )  # what is odd about it and changes nothing of its cost, as a sentence
    tier: str = field(
        default="", compare=False
    )  # of service, where it says one that was not asked for
    choices: bytes = field(
        default=b"", compare=False, repr=False
    )  # what might have been said in place of each token, packed (token_choices.py); b"": not told
    thought: bool = field(
        default=False, compare=False
    )  # its thinking stood in the text, and was taken out (see `for_the_reader`)

    def for_the_reader(self) -> Completion:
        """The same with the answer alone as its text: no part named thinking, no mark of a chat template. What is stored
        keeps all that came."""
        readable = self.finish in ("stop", "length", "content_filter")
        said = written(self.text) if readable else None
        if said is None or said.answer == self.text:
            return self
        return replace(self, text=said.answer, thought=said.thought)
