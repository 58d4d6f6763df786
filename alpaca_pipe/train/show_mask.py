"""`alpaca-pipe show-mask`: a training row as the model sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder, show_mask
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import resolve


def print_mask(tables: Mapping[str, Any], rows: Path, row: int, as_json: bool = False) -> None:
    """One training row as the model sees it: learned tokens in green, the others dim. For `alpaca-pipe show-mask`."""
    from rich.console import Console
    from rich.text import Text

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
    encoder = Encoder(load_tokenizer(resolve(tables["base"])), TEMPLATES[config.template])
    encoded = next(encoder.encode([examples[row]], config.max_length))
    console = Console(highlight=False)
    if as_json:
        told = (
            {"left_out": encoded.reason}
            if isinstance(encoded, Rejected)
            else {
                "tokens": [
                    {"text": piece.text, "learned": piece.learned}
                    for piece in show_mask(encoded, encoder.tokenizer)
                ]
            }
        )
        print(
            json.dumps({"row": row, "id": examples[row].id, **told}, indent=2, ensure_ascii=False)
        )
        return
    if isinstance(encoded, Rejected):
        console.print(f"row {row} is not trained on: {encoded.reason}")
        return
    text, before = Text(), False
    for place, piece in enumerate(show_mask(encoded, encoder.tokenizer)):
        if piece.learned and not before and not console.is_terminal:
            text.append("⟦")  # without colour, what is learned begins here and goes to the end
        before = piece.learned
        shade = (
            "underline" if place % 2 else "not underline"
        )  # so that one token ends where the next begins
        text.append(piece.text, f"bold green {shade}" if piece.learned else f"dim {shade}")
    console.print(text)
    where = "green" if console.is_terminal else "after ⟦"
    console.print(
        f"{len(encoded.ids)} tokens, {encoded.learned} learned ({where}), the last one ends the answer"
    )
