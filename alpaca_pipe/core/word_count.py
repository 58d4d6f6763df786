"""How many words a text has, whatever its script: between blanks, or, where a script is written without them, by its
characters. What is compared of two texts is another question: similarity/words.py."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from alpaca_pipe.core.lazy_regex import lazy_regex

# Scripts without blanks between words, by how many characters a word of theirs has in running text. Rounded down, so that
# an upper bound errs towards keeping: Chinese words have about 1.6 characters, Japanese ones in kana 2 to 3, those of the
# scripts of South-East Asia four letters and more (the marks on them are not counted).
_RANGES = {
    1.5: "\u3007\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff\U00020000-\U000323af",
    2.0: "\u3005\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f\U0001b000-\U0001b16f",
    4.0: "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff"
    "\uaa60-\uaadf",
}
_UNSPACED = "".join(_RANGES.values())
# Tibetan divides its syllables by a mark of its own; East Asian punctuation stands where others have a blank.
_DIVIDES = (
    "\u0f0b-\u0f12\u3000-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_NEEDS_MORE = lazy_regex(f"[{_UNSPACED}{_DIVIDES}]")


class Word(NamedTuple):
    """A piece of a text. share: of a word as a reader counts, 1 or less."""

    start: int
    end: int
    share: float


def is_unspaced(text: str) -> bool:
    """Whether any of it is in a script without blanks between words, or parted by the signs of one."""
    return not text.isascii() and bool(_NEEDS_MORE.search(text))


def words(text: str) -> list[str]:
    """The words between blanks; a character of a script without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese ...)
    is one of its own, with its marks. Of a text in a script with blanks this is `text.split()`."""
    if not is_unspaced(text):
        return text.split()
    return [found.group() for found in _word().finditer(text)]


def word_spans(text: str) -> Iterator[Word]:
    """Where each of the `words` stands."""
    for found in _word().finditer(text):
        size = float(found.lastgroup[1:]) / 10 if found.lastgroup else 1.0
        yield Word(found.start(), found.end(), 1 / size)


def word_count(text: str) -> int:
    """How many words a reader would count: in a script without blanks as many characters as its words have make one. At
    least 1 where `words` finds any."""
    if not is_unspaced(text):
        return len(text.split())
    return max(bool(size := word_size(text)), round(size))


def word_size(text: str) -> float:
    """The same, not rounded: sizes of pieces can be added up."""
    if not is_unspaced(text):
        return float(len(text.split()))
    return sum(word.share for word in word_spans(text))


@cache
def _word() -> re.Pattern[str]:
    marks = "".join(
        chr(code)
        for code in range(0x0E00, 0xAAE0)
        if not 0x3100 <= code < 0xA480 and unicodedata.category(chr(code))[0] == "M"
    )
    one = "|".join(
        f"(?P<s{int(size * 10)}>[{ranges}][{marks}]*)" for size, ranges in _RANGES.items()
    )
    return re.compile(f"{one}|[^\\s{_UNSPACED}{_DIVIDES}]+")
