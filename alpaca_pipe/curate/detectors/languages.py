"""Which language a text is in, by py3langid (139 languages, its model inside the wheel)."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import words
from alpaca_pipe.similarity.words import unicode_words

if TYPE_CHECKING:
    from alpaca_pipe.core.example import Example

_NO_LANGUAGE = "zxx"  # code, numbers
_FEWEST_LETTERS = (
    20  # in bytes (a Chinese one has three); less than that is a name or a number in any language
)
_CODE = lazy_regex(r"[{}<>|=_;\[\]]|\w\(|://")
# Another language is what such tasks are about.
_ABOUT_LANGUAGE = lazy_regex(
    r"\b(?:translat\w*|languages?|lorem|latin|french|spanish|german|italian|portuguese|dutch|russian|chinese|mandarin"
    r"|cantonese|japanese|korean|arabic|hindi|greek|hebrew|turkish|polish|swedish|norwegian|danish|finnish|czech|welsh|irish"
    r"|gaelic|swahili|urdu|bengali|tamil|thai|vietnamese|indonesian|malay|persian|farsi|ukrainian|hungarian|romanian|english"
    r"|esperanto|bilingual|foreign|dialect|species|scientific names?|taxonom\w*|words?)\b",
    re.IGNORECASE,
)


def other_language(example: Example, wanted: str, certain: float) -> tuple[str, str] | None:
    """(field, language) where the instruction or the output is in another language than wanted, with more than that
    certainty; None where the task is about languages. An input may be in any language, and so may what an output takes
    from it; names in a row are in none; 20 letters are the least to tell from."""
    if _ABOUT_LANGUAGE.search(example.instruction):
        return None
    for name in ("instruction", "output"):
        text = getattr(example, name)
        if len("".join(filter(str.isalpha, text)).encode()) < _FEWEST_LETTERS:
            continue
        if not _is_prose(text) or _mostly_from(example.input, text):
            continue
        odds = _odds(text)
        if 1 - odds.get(wanted, 0.0) - odds.get(_NO_LANGUAGE, 0.0) > certain:
            return name, next(iter(odds))
    return None


def _is_prose(text: str) -> bool:
    """Neither code nor a list nor names: words, most of them small, few of them between commas or line ends."""
    every = words(text)
    small = sum(word.lstrip("¿¡\"'“«(")[:1].islower() or not word.isascii() for word in every)
    return (
        not _CODE.search(text)
        and small * 3 >= len(every) * 2
        and (text.count(",") + text.count("\n")) * 4 <= len(every)
        and (len(every) >= 4 or not text.isascii())
    )


def _mostly_from(input: str, text: str) -> bool:
    known = set(unicode_words(input))
    said = unicode_words(text)
    return sum(word in known for word in said) * 2 > len(said)


@lru_cache(4096)
def _odds(text: str) -> dict[str, float]:
    """Language -> how likely; all but the wanted one together count, for neighbours (Danish, Norwegian) share the odds."""
    return dict(_model().rank(text[:2000]))


@cache
def _model() -> Any:
    if find_spec("py3langid") is None:
        raise UserError(
            "curate.filters.language: it needs py3langid, which is not installed",
            "pip install 'alpaca-pipe[language]', or leave the filter off",
        )
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
