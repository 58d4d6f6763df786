"""Code blocks between fences, by CommonMark 0.31 (4.5)."""

from __future__ import annotations

import re

from alpaca_pipe.core.lazy_regex import lazy_regex

# However far it is indented, or within a quotation: a list item may hold it, and how deep that is is not followed here.
_FENCE = lazy_regex(r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(`{3,}|~{3,})(.*)$", re.MULTILINE)


def open_fence(text: str) -> str:
    """The line that opens a block which is never closed, or "". A line that is closed in itself (```x```) is a code span
    and no fence; a fence is closed by one of its own sign, at least as long, with nothing after it."""
    if "```" not in text and "~~~" not in text:
        return ""
    mark = line = ""
    for found in _FENCE.finditer(text):
        signs, rest = found[1], found[2].strip()
        if not mark:
            if signs[0] == "~" or "`" not in rest:
                mark, line = signs, found.group().strip()
        elif signs[0] == mark[0] and len(signs) >= len(mark) and not rest:
            mark = ""
    return line if mark else ""
