"""Texts of a row that say another of its texts again."""

from __future__ import annotations

import re

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import words
from alpaca_pipe.curate.detectors.placeholders import is_no_output
from alpaca_pipe.similarity.words import unicode_words

# Tasks that leave no text as it was; one that selects, sorts, checks or corrects may well find nothing to do.
_CHANGES = lazy_regex(
    r"^(?:please |can you |could you )?(?:re(?:write|phrase|word|structure|construct|organi[sz]e|vise|formulate|do|make)"
    r"|paraphrase|edit|convert|change|transform|translate|summari[sz]e|shorten|condense|compress|delete|remove|add|insert|replace"
    r"|substitute|modify|improve|expand|extend|elaborate|simplify|minimi[sz]e|reverse|invert|turn|make|adapt|alter|enhance"
    r"|construct|compose|generate|create|write|design|develop|answer|explain|describe|analy[sz]e|interpret|predict|calculate)\w*\b",
    re.IGNORECASE,
)
_FEWEST = 4  # words; "sheep" is its own plural
_MAY_STAY = lazy_regex(
    r"\b(?:if (?:it is |there (?:is|are) |they are )?(?:any|needed|necessary|required|applicable|incorrect|wrong)"
    r"|British|American|machine-readable|comma[- ]separated|cop(?:y|ies)|output the (?:input|text|result))\b",
    re.IGNORECASE,
)
_STOPS = " \t\r\n:.-?!。？！"
_LEADS = lazy_regex(
    r"\s*(?:[^\W\d_][\w ]{0,30}[:：])?\s*(?:(?:please|can you|could you|now|so)[\s,]*)*[\"'“«]?",
    re.IGNORECASE,
)


def only_copied(example: Example) -> bool:
    """The output is the input, or both say that there is none, though the task leaves no text as it was."""
    text = example.input.strip()
    if not text or example.output.strip() != text:
        return False
    if is_no_output(text):
        return True
    return (
        len(words(text)) >= _FEWEST
        and bool(_CHANGES.search(example.instruction))
        and not _MAY_STAY.search(example.instruction)
    )


def says_again(input: str, instruction: str) -> bool:
    """The input holds the instruction, of four words or more, word for word."""
    if len(input) < len(instruction) // 2 or not input:
        return False
    wanted = unicode_words(instruction)
    return (
        len(wanted) >= _FEWEST and f" {' '.join(wanted)} " in f" {' '.join(unicode_words(input))} "
    )


def without_instruction(example: Example) -> str | None:
    """The input without the instruction that it begins or ends with, word for word, and without the label or the "please"
    before it; None where it holds none, or holds it within a sentence that says more."""
    text, known = example.input, example.instruction.strip(_STOPS).casefold()
    if len(text) < len(known) or len(unicode_words(known)) < _FEWEST:
        return None
    folded = text.casefold()
    at = folded.find(known) if len(folded) == len(text) else -1
    if at < 0 or folded[at + len(known) :][:1].isalnum():
        return None
    before, after = text[:at], text[at + len(known) :].lstrip(_STOPS)
    if _LEADS.fullmatch(before):
        return after
    return before.rstrip() if before.endswith("\n") and not after else None
