"""The language of an answer: by its script, or by the commonest small words of languages that share the Latin one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from alpaca_pipe.evaluate.rules.base import rule

_SCRIPTS = {
    "ru": "CYRILLIC",
    "el": "GREEK",
    "ko": "HANGUL",
    "hi": "DEVANAGARI",
    "ar": "ARABIC",
    "he": "HEBREW",
    "ja": "HIRAGANA KATAKANA CJK",
    "zh": "CJK",
    "th": "THAI",
}
_SMALL = {
    "en": "the of and to in is you that it he was for on are with as his they at be this have from or had by but not what "
    "all were we when your can said there an which she do how their if will up other about out many then them",
    "de": "der die das und ist nicht ein eine einen dem den des im zu mit auf für von sich auch als wie oder werden wird sind er "
    "sie wir ich ihr bei nach aus an es in am guten wenn man kann haben hat",
    "fr": "le la les un une du et est dans pour que qui sur pas avec par ce au aux il elle nous vous je de des en se sont très "
    "plus mais ou on à ne son sa ses cette",
    "es": "el los las la y es por para con se su lo como más al pero de que en un una del no sus son muy está o hay si mi",
    "it": "di che per non sono nel della gli alla dei una ed il la è un le e con del in si da lo più anche come molto sua "
    "suo al i ha",
    "pt": "os da em não uma ao dos das na com mais o a de que e é um para se por no do como são mas ou seu sua muito está",
    "nl": "de het een en van dat op te zijn voor met aan niet ook naar maar is in die er wordt als bij om heeft wij ik je",
}
_NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "ru": "Russian",
    "el": "Greek",
    "ko": "Korean",
    "hi": "Hindi",
    "ar": "Arabic",
    "he": "Hebrew",
    "ja": "Japanese",
    "zh": "Chinese",
    "th": "Thai",
}
_LETTERS = re.compile(r"[^\W\d_]+")


@rule("language")
def language(answer: str, code: str) -> str | None:
    """Most of it is in a language, by its ISO 639-1 code: de, en, es, fr, it, nl, pt, or one with a script of its own."""
    found = language_of(answer)
    if found == code:
        return None
    return f"it is {_NAMES.get(found, 'in no language that is known here')}, {_NAMES[code]} wanted"


def language_of(text: str) -> str:
    """The code; "" where no script has most of the letters, or no language's small words lead."""
    scripts = Counter(
        unicodedata.name(one, "").split(" ", 1)[0].split("-", 1)[0] for one in text if one.isalpha()
    )
    letters = sum(scripts.values())
    if not letters:
        return ""
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * letters:
        return "ja"
    for code, names in _SCRIPTS.items():
        if code != "ja" and sum(scripts[name] for name in names.split()) > letters / 2:
            return code
    return _latin(text) if scripts["LATIN"] > letters / 2 else ""


def _latin(text: str) -> str:
    words = Counter(word.lower() for word in _LETTERS.findall(text))
    counts = {
        code: sum(words[word] for word in dict.fromkeys(small.split()))
        for code, small in _SMALL.items()
    }
    best, second, *_ = sorted(counts.values(), reverse=True)
    return max(counts, key=lambda code: counts[code]) if best > second else ""
