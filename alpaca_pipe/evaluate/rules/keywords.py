"""Words that an answer has to hold, or must not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alpaca_pipe.evaluate.rules.base import outside, rule
from alpaca_pipe.evaluate.rules.text_units import as_word

_GROUP = "keywords"


def _count(word: str, answer: str) -> int:
    return len(re.findall(as_word(word), answer, re.IGNORECASE))


@rule(_GROUP)
def include(answer: str, words: Sequence[str]) -> str | None:
    """Each of the words stands in it, as a word of its own or with an ending."""
    for word in words:
        if not re.search(rf"(?<!\w){re.escape(word)}", answer, re.IGNORECASE):
            return f"'{word}' is not there"
    return None


@rule(_GROUP)
def exclude(answer: str, words: Sequence[str]) -> str | None:
    """None of the words stands in it."""
    for word in words:
        if _count(word, answer):
            return f"'{word}' is there"
    return None


@rule(_GROUP)
def word_count(answer: str, word: str, at_least: int = 0, at_most: int | None = None) -> str | None:
    """How often a word stands in it."""
    return outside(_count(word, answer), f"times '{word}'", at_least, at_most)


@rule(_GROUP)
def letter_count(
    answer: str, letter: str, at_least: int = 0, at_most: int | None = None
) -> str | None:
    """How often a letter stands in it, large or small."""
    count = answer.lower().count(letter.lower())
    return outside(count, f"times the letter {letter}", at_least, at_most)
