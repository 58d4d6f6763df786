"""Stanford's rules for an instruction (stanford_alpaca, generate_instruction.py), each answering what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import punctuation

from alpaca_pipe.core import word_count
from alpaca_pipe.core.lazy_regex import lazy_regex

# A model of text can neither see nor make these.
MEDIA = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
    "go to",
    "video",
    "audio",
    "music",
    "flowchart",
    "diagram",
)
_MEDIA = lazy_regex(rf"\b(?:{'|'.join(MEDIA)})\b", re.IGNORECASE)
FEWEST, MOST = 4, 150  # words


def words(instruction: str) -> str | None:
    """Counted between blanks, as Stanford does; by characters in a script without them, where Stanford's would drop all."""
    count = len(word_count.words(instruction))
    if count < FEWEST:
        return f"the instruction has {count} words, at least {FEWEST} wanted"
    count = word_count.word_count(instruction)
    return f"the instruction has {count} words, at most {MOST} wanted" if count > MOST else None


def media(instruction: str) -> str | None:
    found = _MEDIA.search(instruction)
    return (
        f"the instruction says '{found.group().lower()}', which a text model can neither see nor make"
        if found
        else None
    )


def write_a_program(instruction: str) -> str | None:
    """Such instructions seldom say whether the program or its output is wanted."""
    return (
        "the instruction starts with 'Write a program'"
        if instruction.startswith("Write a program")
        else None
    )


def punctuation_start(instruction: str) -> str | None:
    first = instruction[:1]
    return f"the instruction starts with '{first}'" if first and first in punctuation else None


def ascii_start(instruction: str) -> str | None:
    """Against other languages."""
    first = instruction[:1]
    return (
        f"the instruction starts with '{first}', which is not ASCII"
        if not first.isascii()
        else None
    )


RULES: tuple[Callable[[str], str | None], ...] = (
    words,
    media,
    write_a_program,
    punctuation_start,
    ascii_start,
)


def first_reason(instruction: str) -> tuple[str, str] | None:
    """(rule, reason) of the first rule that is broken, in Stanford's order."""
    return next(((rule.__name__, reason) for rule in RULES if (reason := rule(instruction))), None)
