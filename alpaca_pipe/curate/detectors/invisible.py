"""Characters that nobody sees or no text holds: what may be taken out without loss, and what shows that text was lost."""

from __future__ import annotations

import re
import unicodedata

from alpaca_pipe.core.lazy_regex import lazy_regex

_COLOUR = lazy_regex(
    r"\x1b\[[0-9;]*[A-Za-z]"
)  # what a terminal was told, whole; without it "[31m" would stay
_CONTROL = lazy_regex("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LOST = "\ufffd"  # the mark of a failed decoding: what stood here is gone
# Zero-width space, word joiner, byte order mark, soft hyphen; marks of direction; (non-)joiners.
_NO_WIDTH, _DIRECTION, _JOINERS = (
    "\u200b\u2060\ufeff\u00ad",
    "\u200e\u200f\u202a-\u202e\u2066-\u2069",
    "\u200c\u200d",
)
_HIDDEN = lazy_regex(f"[{_NO_WIDTH}{_DIRECTION}{_JOINERS}]")
# Scripts that are written with such characters: Hebrew, Arabic and other right-to-left ones need directions, Arabic and
# Indic ones joiners, Thai, Lao, Burmese and Khmer zero-width spaces between words; emoji are joined too.
_NEEDS_THEM = lazy_regex(
    "[\u0590-\u08ff\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u18af\ufb1d-\ufdff\ufe70-\ufefc"
    "\u2600-\u27bf\U0001f000-\U0001faff]"
)
_STACKED = lazy_regex(
    "[\u0300-\u036f]{4,}"
)  # accents on accents; Vietnamese, the richest in them, needs two


def cleaned(text: str) -> str:
    """The text without control characters and without what has no width, where its script does not need that.

    Characters 0x80-0x9f are read as Windows-1252, which they are in practice (WHATWG, Encoding Standard).
    """
    if text.isascii() and not _CONTROL.search(text):
        return text
    text = _CONTROL.sub(_windows, _COLOUR.sub("", text))
    return text if _NEEDS_THEM.search(text) else _HIDDEN.sub("", text)


def _windows(found: re.Match[str]) -> str:
    if found.group() in "\x0b\x0c":
        return "\n"  # a line and a page ended here
    try:
        read = found.group().encode("latin-1").decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return "" if unicodedata.category(read) == "Cc" else read


def control_character(text: str) -> str:
    """The first character that no text holds, or ""."""
    if text.isascii() or _LOST not in text:
        found = _CONTROL.search(text)
        return found.group() if found else ""
    return _LOST


def garbage_run(text: str) -> str:
    """The first run of accents without letters, or ""."""
    found = None if text.isascii() else _STACKED.search(text)
    return found.group() if found else ""
