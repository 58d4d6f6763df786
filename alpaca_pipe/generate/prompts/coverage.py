"""What the rows so far are like, so that the next prompts can ask for what is missing: kinds of task, first words.

The rules are plain and looked up in one order; they need not be right about each row, only about the mixture.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import words

_FIRST = lazy_regex(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_FEWEST = 20  # rows, before a first word can be called worn
_WORN, _MOST = 0.05, 6  # share of the rows that begin with it; so many are named in a prompt
_LEAST, _HIGHEST = 0.25, 2.0  # how often a kind is asked for, against an equal share


def _begins(words: str) -> Callable[[Example], bool]:
    known = frozenset(words.split())
    return lambda row: first_word(row.instruction) in known


def _says(pattern: str) -> Callable[[Example], bool]:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda row: found.search(row.instruction) is not None


# The first rule that holds names the kind.
_RULES: tuple[tuple[str, Callable[[Example], bool]], ...] = (
    (
        "code",
        _says(
            r"\b(code|function|program|script|sql|python|javascript|html|css|regex|regular expression|algorithm|query)\b"
        ),
    ),
    ("classification", _begins("classify categorize categorise label sort")),
    (
        "classification",
        _says(
            r"\b(true or false|yes or no|positive or negative|which category|whether)\b|\bis (this|the following)\b"
        ),
    ),
    ("extraction", _begins("extract identify find pick locate highlight underline spot")),
    (
        "rewriting",
        _begins(
            "rewrite rephrase paraphrase reword edit correct fix translate convert shorten simplify summarize "
            "summarise condense change turn transform proofread improve replace reformat format punctuate"
        ),
    ),
    (
        "reasoning",
        _begins(
            "calculate compute solve prove deduce infer determine estimate count add multiply divide subtract"
        ),
    ),
    (
        "reasoning",
        _says(r"\bhow (many|much|long|far|old|fast)\b|^if\b|\bnext (number|term|in the)\b"),
    ),
    (
        "explanation",
        _begins(
            "explain describe define compare contrast discuss outline clarify illustrate analyze analyse why"
        ),
    ),
    (
        "explanation",
        _says(r"^how (do|does|did|can|is|are|would)\b|\b(difference|differences) between\b"),
    ),
    (
        "ideas",
        _begins(
            "list suggest give name recommend propose brainstorm plan provide offer think rank"
        ),
    ),
    (
        "writing",
        _begins(
            "write compose draft create generate invent make tell design imagine develop construct produce"
        ),
    ),
    ("question", lambda row: row.instruction.rstrip().endswith(("?", "？"))),
    (
        "question",
        _begins(
            "what who whom whose when where which is are was were do does did can could should"
        ),
    ),
)
KINDS = tuple(dict.fromkeys(kind for kind, _ in _RULES))


def kind_of(row: Example) -> str:
    """One of KINDS, or "" where no rule holds."""
    return next((kind for kind, holds in _RULES if holds(row)), "")


def first_word(instruction: str) -> str:
    found = _FIRST.search(instruction)
    return words(found.group())[0].lower() if found else ""


class Balance:
    """Counts over rows. What it answers depends on the rows alone, in any order, and on the number that is given."""

    def __init__(self, rows: Iterable[Example] = ()) -> None:
        self._kinds: Counter[str] = Counter()
        self._first: Counter[str] = Counter()
        self._came = list(rows)  # not counted yet: many styles never ask

    def add(self, rows: Iterable[Example]) -> None:
        self._came += rows

    def _count(self) -> None:
        for row in self._came:
            self._kinds[kind_of(row)] += 1
            self._first[first_word(row.instruction)] += 1
        self._came.clear()

    def lacks(self, count: int, draw: int) -> tuple[str, ...]:
        """So many kinds to ask for: the rarer one is, the likelier; each of them once before one comes again."""
        self._count()
        chance, share = random.Random(draw), sum(self._kinds[kind] for kind in KINDS) / len(KINDS)
        weights = {
            kind: min(max(2 - self._kinds[kind] / share, _LEAST), _HIGHEST) if share else 1.0
            for kind in KINDS
        }
        drawn: list[str] = []
        while len(drawn) < count:
            # the largest of u ** (1 / weight) first: a draw without replacement (Efraimidis and Spirakis, 2006)
            drawn += sorted(
                KINDS, key=lambda kind: chance.random() ** (1 / weights[kind]), reverse=True
            )[: count - len(drawn)]
        return tuple(drawn)

    def worn(self) -> tuple[str, ...]:
        """The first words that too many rows share, the commonest first."""
        self._count()
        rows = sum(self._first.values())
        often = sorted(
            (-number, word)
            for word, number in self._first.items()
            if word and number > _WORN * rows
        )
        return tuple(word for _, word in often[:_MOST]) if rows >= _FEWEST else ()
