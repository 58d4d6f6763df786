"""What counts as a word when two texts are compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.lazy_regex import lazy_regex

Words = Literal["rouge", "rouge-stem", "unicode"]
Text = (
    str | tuple[str, str]
)  # or two texts of a row, each of which must be near; their F is then the lesser one

LEAST_INSIDE = 8  # words of a text that is looked for wherever it stands (overlap.py)

_ROUGE = lazy_regex(r"[a-z0-9]+")
# Scripts that are written without blanks between words; a character with its marks stands for a word there.
_UNSPACED = lazy_regex(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af]"
)


def rouge_words(text: str) -> list[str]:
    """The tokens of rouge_score without stemming: lower case, everything but a-z and 0-9 is a break."""
    return _ROUGE.findall(text.lower())


def unicode_words(text: str) -> list[str]:
    """Runs of letters, marks and digits of any script in lower case, NFC; one character each where a script has no
    blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese)."""
    if text.isascii():
        return rouge_words(text)
    return "".join(map(_spaced, unicodedata.normalize("NFC", text.lower()))).split()


@lru_cache(4096)
def _spaced(character: str) -> str:
    """The character as it stands in a word, or with the blank that it stands for."""
    kind = unicodedata.category(character)[0]
    if kind == "M":
        return character  # a mark belongs to the character before it
    if _UNSPACED.match(character) and kind == "L":
        return f" {character}"
    return character if kind in "LN" else " "


def stemmed_words(text: str) -> list[str]:
    """The tokens of rouge_score with stemming: words of four letters or more by Porter's stemmer, as NLTK has it."""
    return [_stem(word) if len(word) > 3 else word for word in rouge_words(text)]


@lru_cache(1 << 16)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


@cache
def _stemmer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise UserError(
            "words: rouge-stem needs nltk, which is not installed",
            "pip install 'alpaca-pipe[stem]', or take rouge or unicode",
        ) from None
    return PorterStemmer()


SPLIT: dict[Words, Callable[[str], list[str]]] = {
    "rouge": rouge_words,
    "rouge-stem": stemmed_words,
    "unicode": unicode_words,
}
