"""Words, sentences and paragraphs of an answer, as the rules count them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？]")
# An abbreviation, an initial or a list's number ends no sentence.
_NO_END = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|Co|vs|etc|e\.g|i\.e|No|[A-Z])|(?:^|\n)\s*\d+)\.$"
)


def words_of(text: str) -> list[str]:
    """Runs of letters and digits: "don't" is two, as in IFEval."""
    return _WORD.findall(text)


def sentences_of(text: str) -> list[str]:
    """Cut after an end mark that blanks follow; a line without one is a sentence too where a blank line follows."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        start = 0
        for end in _END.finditer(block):
            so_far = block[start : end.end()]
            if _NO_END.search(so_far) and end.end() < len(block.rstrip()):
                continue
            found.append(so_far)
            start = end.end()
        found.append(block[start:])
    return [one.strip() for one in found if words_of(one)]


def paragraphs_of(text: str) -> list[str]:
    """Parts between blank lines."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def as_word(word: str) -> str:
    """A pattern that finds a word or phrase where no letter touches it."""
    return rf"(?<!\w){re.escape(word)}(?!\w)"
