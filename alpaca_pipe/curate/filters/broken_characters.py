"""Characters that no text holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import invisible, texts
else:
    invisible = lazy_module("alpaca_pipe.curate.detectors.invisible")
    texts = lazy_module("alpaca_pipe.curate.detectors.texts")


@row_filter(order=80, looks_at="row")
def control_characters(example: Example) -> str | None:
    """Bytes that no text holds: C0 and C1 controls but tab and line ends, and U+FFFD, the mark of a failed decoding."""
    if not texts.first_look(example).may_hold_controls:
        return None
    for name, text in texts.texts_of(example):
        if found := invisible.control_character(text):
            return f"the {name} holds U+{ord(found):04X}"
    return None


@row_filter(order=90, looks_at="row")
def garbage(example: Example) -> str | None:
    """Accents piled on each other without letters, which broken generation leaves behind."""
    if texts.first_look(example).kinds:
        return None
    for name, text in texts.texts_of(example):
        if found := invisible.garbage_run(text):
            return f"the {name} holds {len(found)} combining marks in a row, U+{ord(found[0]):04X} first"
    return None
