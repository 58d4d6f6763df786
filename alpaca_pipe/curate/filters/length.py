"""Rows that are too short or too long."""

from __future__ import annotations

from typing import Literal

from alpaca_pipe.core.config_table import ExistingPath
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.word_count import word_count
from alpaca_pipe.curate.filters.base import row_filter


@row_filter(order=250, on=False, looks_at="row")
def length(
    example: Example,
    least: int = 0,
    most: int = 0,
    of: Literal["output", "row"] = "output",
    tokenizer: ExistingPath | None = None,
) -> str | None:
    """Bounds in words, or in tokens where `tokenizer` names a tokenizer.json; 0 is no bound. Of a conversation all learned
    answers count together."""
    from alpaca_pipe.curate.detectors.token_length import tokens

    if not least and not most:
        return None
    text = example.answered if of == "output" else "\n".join(example.texts)
    count, unit = (tokens(text, tokenizer), "tokens") if tokenizer else (word_count(text), "words")
    if count < least:
        return f"the {of} has {count} {unit}, at least {least} wanted"
    return f"the {of} has {count} {unit}, at most {most} wanted" if most and count > most else None
