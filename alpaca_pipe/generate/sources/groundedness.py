"""Whether what a task says stands in its passage: its numbers and its names, which a teacher makes up most easily."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_ITEM = re.compile(
    r"^[ \t]*\d{1,2}[.)](?=\s)", re.MULTILINE
)  # the number of an item in a list is no fact
_WORD = re.compile(r"[^\W\d_][\w’'-]*")
# What may stand before a word that begins a sentence, an item, a quotation: there a capital says nothing.
_OPENING = re.compile(r"(?:\A|[.!?:;…\n]|[-*•–—]|\d[.)])[\s\"'“”‘’«»(\[*_#>-]*\Z")
_QUOTES = '"“‘«([*_'
_ALWAYS_CAPITAL = frozenset(
    {"i", "i'm", "i’m", "i'd", "i’d", "i'll", "i’ll", "i've", "i’ve", "ok", "faq", "q", "a"}
)


def ungrounded(text: str, passage: str) -> str:
    """The first number or name in `text` that the passage does not hold, or "".

    Numbers count as written, without separators of thousands; a name is a word with a capital where no sentence begins,
    and stands in the passage if its letters do, in any case, or without a plural or possessive ending. Not covered:
    numbers in words, names of one sentence's first word, claims without either.
    """
    numbers, words = set(_numbers(passage)), {_stem(word) for word in _WORD.findall(passage)}
    for number in _numbers(text):
        if number not in numbers:
            return number
    return next((name for name in _names(text) if _stem(name) not in words), "")


def _numbers(text: str) -> Iterator[str]:
    for found in _NUMBER.finditer(_ITEM.sub("", text)):
        yield re.sub(r"(?<=\d)[,](?=\d{3}(?!\d))", "", found.group())


def _names(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = found.group()
        before = text[max(found.start() - 12, 0) : found.start()]
        begins = _OPENING.search(before) or before[-1:] in _QUOTES
        if (
            any(map(str.isupper, word))
            and word.lower() not in _ALWAYS_CAPITAL
            and (not begins or word[1:].lower() != word[1:])
        ):
            yield word


def _stem(word: str) -> str:
    return re.sub(r"(?:['’]s?|s)\Z", "", word.casefold())
