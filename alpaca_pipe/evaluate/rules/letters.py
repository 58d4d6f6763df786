"""Which letters and marks an answer is written in."""

from __future__ import annotations

from alpaca_pipe.evaluate.rules.base import outside, rule
from alpaca_pipe.evaluate.rules.text_units import words_of

_GROUP = "letters"


@rule(_GROUP)
def lowercase(answer: str) -> str | None:
    """No capital letter."""
    found = next((one for one in answer if one.isupper()), "")
    return f"'{found}' is a capital" if found else _some(answer)


@rule(_GROUP)
def uppercase(answer: str) -> str | None:
    """Capital letters only."""
    found = next((one for one in answer if one.islower()), "")
    return f"'{found}' is no capital" if found else _some(answer)


def _some(answer: str) -> str | None:
    return None if any(map(str.isalpha, answer)) else "there is no letter"


@rule(_GROUP)
def capital_words(answer: str, at_least: int = 0, at_most: int | None = None) -> str | None:
    """How many words are written in capitals only."""
    found = [word for word in words_of(answer) if word.isupper()]
    return outside(len(found), "words in capitals", at_least, at_most)


@rule(_GROUP)
def without(answer: str, mark: str) -> str | None:
    """A mark, a letter or a digit that does not occur: `,`. `0-9` stands for all digits."""
    found = any(map(str.isdigit, answer)) if mark == "0-9" else mark.lower() in answer.lower()
    return f"'{mark}' is there" if found else None


@rule(_GROUP)
def initials(answer: str, letters: str) -> str | None:
    """The first letters of the lines, from the first line on: an acrostic."""
    lines = (line.strip() for line in answer.splitlines())
    found = "".join(line.lstrip("*-•\"' ")[:1].lower() for line in lines if line)
    return None if found == letters.lower() else f"the lines begin with '{found}'"
