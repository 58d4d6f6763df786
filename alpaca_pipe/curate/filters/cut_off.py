"""Outputs that stop before they end."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters.base import row_filter


@row_filter(order=180)
def code_fence(example: Example) -> str | None:
    """A ``` that is opened and never closed: the code was cut off."""
    from alpaca_pipe.curate.detectors.text_patterns import fences

    count = fences(example.output)
    return f"the output has {count} code fences, one is not closed" if count % 2 else None


@row_filter(order=210)
def truncated(example: Example, least_words: int = 12) -> str | None:
    """Prose that stops after a comma or a word that needs another one (from `least_words` words on), or after the first two
    digits of a year or a currency sign, which a stop sequence such as "20." leaves behind."""
    from alpaca_pipe.curate.detectors.text_patterns import open_end, stump

    last = open_end(example.output, least_words) or stump(example.output)
    return f"the output stops in mid-sentence, at '{last}'" if last else None
