"""How long an answer is."""

from __future__ import annotations

from alpaca_pipe.evaluate.rules.base import outside, rule
from alpaca_pipe.evaluate.rules.text_units import paragraphs_of, sentences_of, words_of

_GROUP = "length"


@rule(_GROUP)
def words(answer: str, at_least: int = 0, at_most: int | None = None) -> str | None:
    """The number of words."""
    return outside(len(words_of(answer)), "words", at_least, at_most)


@rule(_GROUP)
def sentences(answer: str, at_least: int = 0, at_most: int | None = None) -> str | None:
    """The number of sentences."""
    return outside(len(sentences_of(answer)), "sentences", at_least, at_most)


@rule(_GROUP)
def paragraphs(answer: str, count: int) -> str | None:
    """The number of paragraphs, with blank lines between."""
    return outside(len(paragraphs_of(answer)), "paragraphs", count, count)


@rule(_GROUP)
def characters(answer: str, at_most: int) -> str | None:
    """The number of characters, blanks included."""
    return outside(len(answer.strip()), "characters", 0, at_most)
