"""A tokenizer as the lists that a GGUF holds: tokens, their kinds, and merges or scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.weights.word_cuts import name_of_cut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# gguf.TokenType
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Vocabulary:
    """One list entry for each row of the embedding. merges: byte-level BPE only.  scores: SentencePiece only."""

    model: str  # "gpt2" is byte-level BPE, "llama" is SentencePiece
    pre: str
    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    scores: list[float]
    space_in_front: bool  # a blank is put before the text
    composes: bool = False  # text is brought into NFC first, which llama.cpp does not do


def vocabulary(tokenizer: Mapping[str, Any], size: int) -> Vocabulary:
    """`tokenizer` is a tokenizer.json; `size` is the number of rows of the embedding.

    Raises UserError for a tokenizer that is no BPE, or that llama.cpp is not known to cut alike.
    """
    model = tokenizer["model"]
    if model.get("type") != "BPE":
        raise UserError(
            f"no GGUF can be written of a {model.get('type')} tokenizer: only byte-level BPE and LLaMA's SentencePiece",
            "leave export.gguf out and use merged/",
        )
    by_sentence = bool(model.get("byte_fallback"))
    rules = _normalizers(tokenizer)
    if others := set(rules) - ({"Prepend", "Replace"} if by_sentence else {"NFC"}):
        raise UserError(
            f"no GGUF can be written: this tokenizer rewrites text first ({', '.join(sorted(others))}), and llama.cpp "
            "does not",
            "leave export.gguf out and use merged/",
        )
    tokens, kinds = _tokens(tokenizer, size, by_sentence)
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    if by_sentence:
        return Vocabulary(
            "llama",
            "default",
            tokens,
            kinds,
            [],
            _scores(tokens, merges),
            _space_in_front(tokenizer),
        )
    cut = _cut(tokenizer)
    # llama.cpp loads no byte-level vocabulary without merges; two whole words are never beside each other before one
    longest = max(tokens, key=len)
    merges = merges or [f"{longest} {longest}"]
    return Vocabulary("gpt2", cut, tokens, kinds, merges, [], False, "NFC" in rules)


def _cut(tokenizer: Mapping[str, Any]) -> str:
    name = name_of_cut(
        tokenizer.get("pre_tokenizer") or {}, bool(tokenizer["model"].get("ignore_merges"))
    )
    if name is None:
        raise UserError(
            "no GGUF can be written: llama.cpp is not known to cut text as this tokenizer does, so its token ids could "
            "differ from those of the training",
            "leave export.gguf out and use merged/; or name another base",
        )
    return name


def _tokens(
    tokenizer: Mapping[str, Any], size: int, by_sentence: bool
) -> tuple[list[str], list[int]]:
    tokens = [f"[PAD{place}]" for place in range(size)]
    kinds = [_UNUSED] * size
    known, unknown = tokenizer["model"]["vocab"], tokenizer["model"].get("unk_token")
    for token, place in known.items():
        tokens[place] = token
        kinds[place] = _NORMAL
    if by_sentence:
        for token, place in known.items():
            if len(token) == 6 and token.startswith("<0x"):
                kinds[place] = _BYTE
    if unknown in known:
        kinds[known[unknown]] = _UNKNOWN
    for added in tokenizer.get("added_tokens", ()):
        place = added["id"]
        tokens[place] = added["content"]
        if kinds[place] != _UNKNOWN or not by_sentence:
            kinds[place] = _CONTROL if added["special"] else _USER_DEFINED
    return tokens, kinds


def _scores(tokens: list[str], merges: list[str]) -> list[float]:
    """SentencePiece merges the pair whose product scores highest; a BPE file has the pairs in that order, a blank between the two."""
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair.replace(" ", "", 1), rank)
    worst = len(merges)
    return [-float(ranks.get(token, worst)) for token in tokens]


def _space_in_front(tokenizer: Mapping[str, Any]) -> bool:
    """LLaMA's way is a normalizer that prepends the blank, newer files a Metaspace that does it for the first word."""
    metaspace = tokenizer.get("pre_tokenizer") or {}
    return "Prepend" in _normalizers(tokenizer) or (
        metaspace.get("type") == "Metaspace" and metaspace.get("prepend_scheme") != "never"
    )


def _normalizers(tokenizer: Mapping[str, Any]) -> list[str]:
    normalizer = tokenizer.get("normalizer")
    if not normalizer:
        return []
    return [str(step["type"]) for step in normalizer.get("normalizers", [normalizer])]


def pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> Iterator[bytes]:
    """The bytes that llama.cpp prints for each token: none for a special one."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = {letter: byte for byte, letter in bytes_to_unicode().items()}
    special = set(tokenizer.all_special_ids)
    by_sentence = json.loads(tokenizer.backend_tokenizer.to_str())["model"].get("byte_fallback")
    for place, token in zip(ids, tokenizer.convert_ids_to_tokens(list(ids)), strict=True):
        if place in special:
            yield b""
        elif by_sentence and len(token) == 6 and token.startswith("<0x"):
            yield bytes([int(token[3:5], 16)])
        elif by_sentence or not all(letter in letters for letter in token):
            yield token.replace("\u2581", " ").encode()
        else:
            yield bytes(letters[letter] for letter in token)
