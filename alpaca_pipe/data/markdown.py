"""Texts of others in Markdown: a model's name is a name there, whatever it is made of."""

from __future__ import annotations

import re

from alpaca_pipe.core.screen import visible

# An underscore within a word means nothing (GFM 6.2), so an ordinary model's name stays as it is.
_MEANS_SOMETHING = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)|(?<=^)#")


def as_text(text: str) -> str:
    """One line that Markdown and HTML read as the text itself."""
    line = " ".join(visible(text).split())
    return _MEANS_SOMETHING.sub(lambda found: f"\\{found.group()}", line)


def fenced(text: str) -> list[str]:
    """A block of code that no line of the text ends."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, visible(text), fence]
