"""Text tokenised as it follows other text: an answer after its prompt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Continuation:
    """A tokenizer's copy that adds nothing before a text: no BOS, no dummy blank."""

    plain: Tokenizer  # a control token spelled out is plain text
    control: Tokenizer  # a control token spelled out is that token

    @staticmethod
    def of(tokenizer: PreTrainedTokenizerBase) -> Continuation:
        """Raises UserError for a tokenizer of Python alone."""
        if not tokenizer.is_fast:
            raise UserError(
                "the base model has no tokenizer.json, so answers cannot be tokenised as continuations",
                "save its tokenizer once with transformers, in the fast form",
            )
        return Continuation(_copy(tokenizer, True), _copy(tokenizer, False))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            found.ids for found in self.plain.encode_batch(list(texts), add_special_tokens=False)
        ]

    def ids_with_control(self, text: str) -> list[int]:
        ids: list[int] = self.control.encode(text, add_special_tokens=False).ids
        return ids


def _copy(tokenizer: PreTrainedTokenizerBase, spelled: bool) -> Tokenizer:
    from tokenizers import Tokenizer

    plan = json.loads(tokenizer.backend_tokenizer.to_str())
    plan["normalizer"] = _without_prefix(plan["normalizer"])
    plan["pre_tokenizer"] = _without_prefix(plan["pre_tokenizer"])
    plan["truncation"] = plan["padding"] = None
    copy = Tokenizer.from_str(json.dumps(plan))
    copy.encode_special_tokens = spelled
    return copy


def _without_prefix(part: Any) -> Any:
    """A normalizer or pre-tokenizer of tokenizer.json that adds nothing before the text."""
    if part is None or part["type"] == "Prepend":
        return None
    part = dict(part)
    for inner in ("normalizers", "pretokenizers"):
        if inner in part:
            part[inner] = [
                kept for one in part[inner] if (kept := _without_prefix(one)) is not None
            ]
    if "prepend_scheme" in part:
        part["prepend_scheme"] = "never"
    if "add_prefix_space" in part:
        part["add_prefix_space"] = False
    return part
