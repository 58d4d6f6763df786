"""Lists that were to be put in order, and are not: English alphabets and numbers, where the order can be checked."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex

_SORT = lazy_regex(
    r"\b(?:sort|arrange|order|organi[sz]e|put|place|list|alphabeti[sz]e|rearrange|reorder|rank|write|re-?organi[sz]e)\b",
    re.IGNORECASE,
)
_TURN = lazy_regex(
    r"(?:please )?(?:reverse|invert|shuffle|flip)\b", re.IGNORECASE
)  # the list as it stands
_ALPHABET = lazy_regex(
    r"\b(?:alphabetical(?:ly)?|alphabeti[sz]e|a\s*(?:-|to)\s*z|lexicographical(?:ly)?|dictionary order)\b",
    re.IGNORECASE,
)
_LOW = r"(?:least|smallest|lowest|small|low|minimum)"
_HIGH = r"(?:greatest|largest|highest|biggest|large|high|big|most|maximum)"
_NUMERIC = lazy_regex(
    rf"\b(?:numerical(?:ly)?|numeric|ascending|increasing|descending|decreasing|{_LOW}\s+to\s+(?:the\s+)?{_HIGH}"
    rf"|{_HIGH}\s+to\s+(?:the\s+)?{_LOW})\b",
    re.IGNORECASE,
)
_DOWN = lazy_regex(
    rf"\b(?:descending|decreasing|reverse\w*|backwards?|z\s*(?:-|to)\s*a|{_HIGH}\s+to\b)",
    re.IGNORECASE,
)
# Numbers that are to be sorted, and it is not said how: up or down.
_PLAIN_SORT = lazy_regex(
    r"(?:please |can you |could you )?sort\s+(?:(?:this|these|the|following|given|below|list|array|set|of|numbers?|values|integers|elements)\s*){1,6}[.:?]",
    re.IGNORECASE,
)
_NOT = lazy_regex(r"\bnon[- ]?(?:de|in)creasing\b", re.IGNORECASE)
# Another key, another task as well, or code that sorts.
_OTHER_KEY = lazy_regex(
    r"\b(?:length|size|frequency|date|year|chronolog\w*|time|age|price|populat\w*|importance|by\s+(?!alphabet|numer|ascend|descend|their\s+alphabet)\w+"
    r"|last\s?names?|surnames?|second|third|code|function|program|script|python|java\w*|sql|query|algorithm|pseudo\w*|class|method|array\s+of\s+objects"
    r"|sentence|letters|characters?|categor\w*|groups?|remove|unique|duplicates?|if|even|odd|prime|square\w*|then|each|every|absolute|roman|hex\w*|binary"
    r"|fractions?|weight|distance|speed|height|volume|area|temperature|how|why|explain|write\s+an?\b|example|generate|create|come up|give|find)\b",
    re.IGNORECASE,
)
_ITEM = r"[-−]?[\w.'’\"-]*\w[\"'’]?"
_RUN = lazy_regex(rf"{_ITEM}(?:\s*,\s*(?:and\s+)?{_ITEM})+(?:\s+and\s+{_ITEM})?")
_MARK = lazy_regex(r"^\s*(?:[-*•–]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\))\s+")
_LEAD = lazy_regex(r"^[^:\n]{0,80}:\s*")
_NUMBER = lazy_regex(r"[-−]?[$€£]?\d[\d,]*(?:\.\d+)?%?")
_FEWEST = 3
_LONGEST = 6  # words of an item


def misplaced(example: Example) -> tuple[str, str] | None:
    """(item, the one before it) of the first pair that stands in the wrong order, where the task is to sort a list and the
    output is the list; None where it is in order, or the order cannot be checked."""
    asked = example.instruction
    if asked.isascii() and not _may_name_an_order(asked.lower()):
        return None
    if not _SORT.search(asked) or _TURN.match(asked):
        return None
    by_alphabet, by_number = bool(_ALPHABET.search(asked)), bool(_NUMERIC.search(asked))
    either = bool(_PLAIN_SORT.match(asked)) and not (by_alphabet or by_number)
    if not (by_alphabet or by_number or either) or _OTHER_KEY.search(asked.partition(":")[0]):
        return None
    items = _items(example.output)
    given = _items(example.input) if example.input.strip() else _listed_in(asked)
    if len(items) < _FEWEST or Counter(map(_plain, items)) != Counter(map(_plain, given)):
        return None
    down = bool(_DOWN.search(asked)) != bool(_NOT.search(asked))
    numbers = [_number(item) for item in items]
    if all(number is not None for number in numbers) and not by_alphabet:
        found = _first_wrong(items, numbers, down)
        return found if not either or _first_wrong(items, numbers, not down) else None
    if not by_alphabet or any(number is not None for number in numbers):
        return None
    wrong = [_first_wrong(items, [key(item) for item in items], down) for key in _KEYS]
    return wrong[0] if all(wrong) else None


def _may_name_an_order(low: str) -> bool:
    """What the patterns below want, told by a few letters of it."""
    return (
        "sort" in low
        or "alphab" in low
        or "cending" in low
        or "creasing" in low
        or "numeric" in low
        or "lexico" in low
        or "dictionary" in low
        or "z" in low
        or ("to" in low and ("least" in low or "small" in low or "low" in low or "minimum" in low))
    )


def _first_wrong(items: Sequence[str], keys: Sequence[Any], down: bool) -> tuple[str, str] | None:
    for at in range(1, len(items)):
        if keys[at - 1] < keys[at] if down else keys[at] < keys[at - 1]:
            return items[at], items[at - 1]
    return None


def _items(text: str) -> list[str]:
    """The items of a text that is a list and no more: a line each, or between commas or semicolons, or else blanks."""
    text = text.strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 2 and lines[0].rstrip().endswith(":"):
        lines = lines[1:]
    if len(lines) >= _FEWEST:
        return [_bare(_MARK.sub("", line)) for line in lines]
    if len(lines) > 1:
        return []
    line = _LEAD.sub("", text) if ":" in text else text
    line = line.strip("[](){} .")
    between = ";" if ";" in line else "," if "," in line else None
    parts = re.split(rf"\s*{between}\s*(?:and\s+)?", line) if between else line.split()
    if between and len(parts) > 1 and " and " in parts[-1]:
        parts[-1:] = parts[-1].split(" and ")
    items = [_bare(part) for part in parts]
    return items if all(0 < len(item.split()) <= _LONGEST for item in items) else []


def _listed_in(asked: str) -> list[str]:
    """The list that an instruction holds: after a colon, or the first run of single words between commas."""
    if ":" in asked:
        return _items(asked.partition(":")[2])
    found = _RUN.search(asked)
    return _items(found.group()) if found else []


def _bare(item: str) -> str:
    return item.strip().strip("\"'“”‘’`*.,;")


def _plain(item: str) -> str:
    return " ".join(item.casefold().split())


def _number(item: str) -> Decimal | None:
    if not _NUMBER.fullmatch(item):
        return None
    try:
        return Decimal(re.sub(r"[$€£,%]", "", item.replace("−", "-")))
    except InvalidOperation:
        return None


def _letters(item: str) -> str:
    """Without accents, for é stands with e."""
    return "".join(
        one
        for one in unicodedata.normalize("NFD", item.casefold())
        if not unicodedata.combining(one)
    )


def _without_article(item: str) -> str:
    return re.sub(r"^(?:the|an?)\s+", "", _letters(item))


# Whatever a dictionary, a library or a computer takes for the order: one that holds is enough.
_KEYS: tuple[Callable[[str], Any], ...] = (
    _letters,
    lambda item: re.sub(r"[\W_]", "", _letters(item)),
    lambda item: re.findall(r"\w+", _letters(item)),
    _without_article,
    lambda item: item,
    lambda item: _letters(item).split()[-1:],
)
