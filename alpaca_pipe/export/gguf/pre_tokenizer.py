"""Which of llama.cpp's pre-tokenizers cuts text as a byte-level tokenizer does, by the rules in its tokenizer.json.

A GGUF names the cut (`tokenizer.ggml.pre`) and llama.cpp has each by heart; a wrong name changes ids without a word. So only
rules that are known to the letter get a name, and others are refused. Source: llama.cpp's src/llama-vocab.cpp, 2026-10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.core.errors import UserError

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

# What stands in front of the bytes -> llama.cpp's name.
_NAMES: dict[tuple[str, ...], str] = {
    ("bytes by words",): "gpt-2",
    ("single digits", "bytes by words"): "smollm",
    (f"split {_LLAMA3}", "bytes"): "llama-bpe",
    (f"split {_QWEN2}", "bytes"): "qwen2",
}


def pre_tokenizer(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for the cut of a byte-level BPE tokenizer; `tokenizer` is its tokenizer.json.

    Raises UserError where llama.cpp is not known to have that cut.
    """
    rules = tuple(_rule(one) for one in _in_turn(tokenizer.get("pre_tokenizer") or {}))
    if rules not in _NAMES:
        raise UserError(
            "no GGUF can be written: llama.cpp is not known to cut text as this tokenizer does "
            f"({'; '.join(rules) or 'not at all'}), so its token ids could differ from those of the training",
            "leave export.gguf out and use merged/; or name another base",
        )
    return _NAMES[rules]


def _in_turn(rule: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return rule["pretokenizers"] if rule.get("type") == "Sequence" else [rule]


def _rule(rule: Mapping[str, Any]) -> str:
    match rule:
        case {"type": "ByteLevel", "add_prefix_space": False, **rest}:
            return "bytes by words" if rest.get("use_regex", True) else "bytes"
        case {"type": "Digits", "individual_digits": True}:
            return "single digits"
        case {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", **rest}:
            return f"split {regex}" if not rest.get("invert") else f"inverted split {regex}"
    return str(rule.get("type", "none"))
