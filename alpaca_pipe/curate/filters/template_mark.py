"""What a server or a chat template has let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.core.thinking import may_be_marked
from alpaca_pipe.core.thinking import template_mark as mark_in
from alpaca_pipe.curate.filters.base import row_filter

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import texts
else:
    texts = lazy_module("alpaca_pipe.curate.detectors.texts")


@row_filter(order=95, looks_at="row")
def template_mark(example: Example) -> str | None:
    """A mark of a chat template, or of thinking, outside of code and quotes: what a server or a template has let through."""
    if not may_be_marked(texts.first_look(example).text):
        return None
    for name, text in texts.texts_of(example):
        if name != "system" and (mark := mark_in(text)):
            return f"the {name} holds '{mark}', which belongs to a chat template"
    return None
