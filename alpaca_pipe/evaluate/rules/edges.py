"""How an answer begins and ends."""

from __future__ import annotations

import re

from alpaca_pipe.evaluate.rules.base import rule
from alpaca_pipe.evaluate.rules.text_units import paragraphs_of, words_of

_GROUP = "edges"


@rule(_GROUP)
def starts_with(answer: str, text: str) -> str | None:
    """The first words, large or small."""
    if answer.strip().lower().startswith(text.lower()):
        return None
    return f"it begins with '{answer.strip()[: len(text)]}'"


@rule(_GROUP)
def ends_with(answer: str, text: str) -> str | None:
    """The last words, large or small; nothing follows them but a closing quotation mark."""
    ending = answer.strip().strip('"').lower()
    return (
        None if ending.endswith(text.strip().lower()) else f"it ends with '{ending[-len(text) :]}'"
    )


@rule(_GROUP)
def quoted(answer: str) -> str | None:
    """The whole answer stands in double quotation marks."""
    text = answer.strip()
    if len(text) > 2 and text[0] == text[-1] == '"':
        return None
    return "it does not stand in double quotation marks"


@rule(_GROUP)
def postscript(answer: str, marker: str = "P.S.") -> str | None:
    """A postscript after its marker, blanks between its letters allowed."""
    pattern = r"\s?".join(re.escape(part) for part in re.findall(r"\w\.?", marker))
    return None if re.search(pattern, answer, re.IGNORECASE) else f"there is no {marker}"


@rule(_GROUP)
def paragraph_starts(answer: str, paragraph: int, of: int, word: str) -> str | None:
    """So many paragraphs, and one of them begins with a word."""
    found = paragraphs_of(answer)
    if len(found) != of:
        return f"{len(found)} paragraphs, {of} wanted"
    first = (words_of(found[paragraph - 1]) or [""])[0]
    if first.lower() == word.lower():
        return None
    return f"paragraph {paragraph} begins with '{first}'"
