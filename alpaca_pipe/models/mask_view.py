"""A row as the model sees it, token by token: whose turn each stretch is, and whether it is learned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from alpaca_pipe.core.example import Example
from alpaca_pipe.models.chat_format import Chat, NotWritable
from alpaca_pipe.models.loss_mask import Encoded, Encoder


class Piece(NamedTuple):
    """A stretch of text of a row, one token or the few that spell one character. turn: which message, from 1."""

    text: str
    learned: bool
    turn: int = 1


def show_mask(encoded: Encoded, encoder: Encoder, example: Example) -> list[Piece]:
    """The texts join to the decoded sequence. A turn begins with what the template writes before its message."""
    starts = list(_starts(encoded, encoder, encoder.form.chat(example)))
    pieces: list[Piece] = []
    shown, first = "", 0
    for end in range(1, len(encoded.ids) + 1):
        text = encoder.tokenizer.decode(encoded.ids[:end], clean_up_tokenization_spaces=False)
        if end < len(encoded.ids) and text.endswith("\ufffd"):
            continue  # in the middle of a character of several bytes
        turn = max(1, bisect_right(starts, first))
        pieces.append(Piece(text[len(shown) :], encoded.mask[end - 1], turn))
        shown, first = text, end
    return pieces


def _starts(encoded: Encoded, encoder: Encoder, chat: Chat) -> Iterator[int]:
    """The place in the ids at which each message begins."""
    start = 0
    for place in range(len(chat)):
        if place:
            try:
                before = encoder.ids(encoder.form.write(chat[:place], False))
            except NotWritable:  # some templates write no half of an exchange
                before = []
            same = zip(before, encoded.ids, strict=False)
            shared = next((n for n, (one, other) in enumerate(same) if one != other), len(before))
            start = max(start, min(shared, len(encoded.ids)))
        yield start
