"""Plain texts as sequences of equal length, laid one behind the other: every token is learned, and where a text ends.

As GPT-3 and LLaMA were pre-trained: a sequence may hold the end of one text and the beginning of others, and sees all of it
as one. The last token of a sequence is the first of the next, so each token but the very first is predicted exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.loss_mask import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AT_ONCE = 256  # texts handed to the tokenizer's threads together


def packed(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[Encoded]:
    """Sequences of `length` tokens, the last one shorter. A special token that is spelled out in a text is plain text."""
    stream = list(_stream(texts, tokenizer))
    found = []
    for start in range(0, len(stream) - 1, length - 1):
        ids = tuple(stream[start : start + length])
        found.append(Encoded(ids, (False, *[True] * (len(ids) - 1))))
    return found


def _stream(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[int]:
    """Each text as the tokenizer begins one, and the end token behind it."""
    end = tokenizer.eos_token_id
    if end is None:
        raise UserError(
            "the base model's tokenizer has no end-of-text token, so no text would ever end",
            "set eos_token in its tokenizer_config.json",
        )
    before = _opening(tokenizer)
    for start in range(0, len(texts), _AT_ONCE):
        part = list(texts[start : start + _AT_ONCE])
        for ids in tokenizer(part, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]:
            yield from before
            yield from ids
            yield int(end)


def _opening(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before a text by itself: BOS, or nothing."""
    plain: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole: list[int] = tokenizer("a")["input_ids"]
    return whole[: whole.index(plain[0])] if plain and plain[0] in whole else []
