"""Stanford's rules for an instruction, as data/stanford_rules.py has them. Three are off: two are for English only, and a
question may well start with a quotation; and what people ask about music and files is mostly answered well."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.word_count import word_count, words
from alpaca_pipe.curate.detectors.english import is_foreign
from alpaca_pipe.curate.filters.base import row_filter
from alpaca_pipe.data import stanford_rules


@row_filter(order=10, sets=("stanford",), looks_at="row")
def min_words(example: Example, least: int = 4) -> str | None:
    """Stanford drops instructions of 3 words or fewer. In other languages than English, whose words often hold what takes
    English several, half as many are enough; a character of a script without blanks counts as one. Of a conversation all
    questions count together."""
    asked = example.asked if example.messages else example.instruction
    count = len(words(asked))
    if count >= least or (count * 2 >= least and is_foreign(asked)):
        return None
    return f"the instruction has {count} words, at least {least} wanted"


@row_filter(order=20, sets=("stanford",), looks_at="row")
def max_words(example: Example, most: int = 150) -> str | None:
    """Stanford drops instructions of more than 150 words. In a script without blanks as many characters make one as its
    words have."""
    count = word_count(example.instruction)
    return f"the instruction has {count} words, at most {most} wanted" if count > most else None


@row_filter(order=30, on=False, sets=("stanford",), looks_at="row")
def media(example: Example) -> str | None:
    """Stanford's rule for what a model of 2023 was asked to make: the instruction has one of 18 words ("music", "file",
    "map" ...), whatever was answered."""
    return stanford_rules.media(example.instruction)


@row_filter(order=40, sets=("stanford",), looks_at="row")
def write_a_program(example: Example) -> str | None:
    """Stanford's rule: such instructions seldom say whether the program or its output is wanted."""
    return stanford_rules.write_a_program(example.instruction)


@row_filter(order=50, on=False, sets=("stanford",), looks_at="row")
def punctuation_start(example: Example) -> str | None:
    """Stanford's rule: the first character is ASCII punctuation."""
    return stanford_rules.punctuation_start(example.instruction)


@row_filter(order=60, on=False, sets=("stanford",), looks_at="row")
def ascii_start(example: Example) -> str | None:
    """Stanford's rule against other languages: the first character is not ASCII."""
    return stanford_rules.ascii_start(example.instruction)
