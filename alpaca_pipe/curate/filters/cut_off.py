"""Outputs that stop before they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import endings, fences
else:
    endings = lazy_module("alpaca_pipe.curate.detectors.endings")
    fences = lazy_module("alpaca_pipe.curate.detectors.fences")


@row_filter(order=180)
def code_fence(example: Example) -> str | None:
    """A code block that is opened and never closed, by CommonMark: it was cut off."""
    line = fences.open_fence(example.output)
    return f"the code block that '{shortened(line)}' opens is not closed" if line else None


@row_filter(order=210)
def truncated(example: Example, least_words: int = 12) -> str | None:
    """English prose that stops after a comma or a word that needs another one (from `least_words` words on), or after the first two
    digits of a year or a currency sign, which a stop sequence such as "20." leaves behind."""
    last = endings.open_end(example.output, least_words) or endings.stump(example.output)
    return f"the output stops in mid-sentence, at '{last}'" if last else None
