"""`alpaca-pipe show-mask`: a training row as the model sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.core.screen import echo, echo_json, new_console
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.mask_view import Piece, show_mask
from alpaca_pipe.models.own_template import template_of
from alpaca_pipe.train.training_rows import unsaid_in_words
from alpaca_pipe.weights.base import resolve

if TYPE_CHECKING:
    from rich.console import Console


def print_mask(tables: Mapping[str, Any], rows: Path, row: int, as_json: bool = False) -> None:
    """One training row as the model sees it: learned tokens in green, the others dim, those of a conversation in the colour of
    whose turn it is. For `alpaca-pipe show-mask`."""
    config = tables.get("train")
    if config is None:
        raise UserError(
            "show-mask: the recipe has no 'train:', so no row is trained on",
            "add a 'train:' table to it",
        )
    examples = [Example.from_row(found) for found in read_jsonl(rows)]
    if row >= len(examples):
        raise UserError(
            f"show-mask: there is no row {row}", f"{rows.name} has rows 0 to {len(examples) - 1}"
        )
    encoder = Encoder(load_tokenizer(resolve(tables["base"])), template_of(config.template))
    example = examples[row]
    encoded = next(encoder.encode([example], config.max_length))
    if isinstance(encoded, Rejected):
        _print_left_out(row, example, encoded, as_json)
        return
    sequences = [show_mask(one, encoder, example) for one in encoded]
    if as_json:
        parts = [_as_json(pieces, encoder, example) for pieces in sequences]
        more = {"sequences": parts} if len(parts) > 1 else parts[0]
        told = {"row": row, "id": example.id, "end": encoder.form.end, **more}
        echo_json(told)
        return
    console = new_console(highlight=False, soft_wrap=True)
    for note in (*encoder.form.notes, *unsaid_in_words(encoder.unsaid([example]))):
        console.print(note, style="dim")
    for number, (one, pieces) in enumerate(zip(encoded, sequences, strict=True), 1):
        if len(encoded) > 1:
            console.print(
                f"sequence {number} of {len(encoded)}: its history is read otherwise", style="bold"
            )
        _print(pieces, encoder, example, console)
        where = "green" if console.is_terminal else "after ⟦"
        console.print(
            f"{len(one.ids)} tokens, {one.learned} learned ({where}), {_ends(len(one.spans()), encoder)}"
        )


def _ends(answers: int, encoder: Encoder) -> str:
    if answers == 1:
        return f"the last one, {encoder.form.end}, ends the answer"
    return f"{answers} answers, each ended by {encoder.form.end}"


def _print_left_out(row: int, example: Example, why: Rejected, as_json: bool) -> None:
    if as_json:
        told = {"row": row, "id": example.id, "left_out": why.reason}
        echo_json(told)
    else:
        echo(f"row {row} is not trained on: {why.reason}")


def _as_json(pieces: Sequence[Piece], encoder: Encoder, example: Example) -> dict[str, Any]:
    roles = [message["role"] for message in encoder.form.chat(example)]
    tokens: list[dict[str, Any]] = [
        {"text": piece.text, "learned": piece.learned}
        | ({"turn": piece.turn, "role": roles[piece.turn - 1]} if example.messages else {})
        for piece in pieces
    ]
    return {"tokens": tokens}


_SHADES = {"system": "magenta", "user": "cyan", "tool": "yellow", "assistant": "dim"}


def _print(pieces: Sequence[Piece], encoder: Encoder, example: Example, console: Console) -> None:
    """Each turn in the colour of its role, what is learned in green; without colour between brackets."""
    from rich.text import Text

    roles = [message["role"] for message in encoder.form.chat(example)]
    text, before = Text(), False
    for place, piece in enumerate(pieces):
        if piece.learned != before and not console.is_terminal:
            text.append("⟦" if piece.learned else "⟧")
        before = piece.learned
        # so that one token ends where the next begins
        line = "underline" if place % 2 else "not underline"
        turn = _SHADES[roles[piece.turn - 1]] if example.messages else "dim"
        text.append(piece.text, f"{'bold green' if piece.learned else turn} {line}")
    if example.messages and before and not console.is_terminal:
        text.append("⟧")
    console.print(text)
    if example.messages:
        console.print(Text(" ".join(_legend(pieces, roles)), "dim"))


def _legend(pieces: Sequence[Piece], roles: Sequence[str]) -> Iterator[str]:
    """A line on the turns: who speaks, in how many tokens, and what of it is learned."""
    for number in sorted({piece.turn for piece in pieces}):
        own = [piece for piece in pieces if piece.turn == number]
        learned = sum(piece.learned for piece in own)
        told = (
            f", {learned} learned"
            if learned
            else ", not learned" * (roles[number - 1] == "assistant")
        )
        yield f"[{number} {roles[number - 1]}: {len(own)}{told}]"
