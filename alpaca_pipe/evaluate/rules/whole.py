"""What an answer is as a whole: JSON, one of a few choices, two answers, a number."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from alpaca_pipe.evaluate.rules.base import outside, rule

_GROUP = "whole answer"
_FENCE = re.compile(r"\A```(?:json)?(.*?)```\Z", re.DOTALL | re.IGNORECASE)


@rule(_GROUP)
def json_answer(answer: str, keys: Sequence[str] = (), items: int | None = None) -> str | None:
    """Nothing but JSON, in a code fence or not; of an object its keys, of a list the number of its items."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return "it is no JSON"
    if keys and not isinstance(found, dict):
        return "it is no JSON object"
    if missing := [key for key in keys if key not in found]:
        return f"the key '{missing[0]}' is not there"
    if items is not None:
        return outside(len(found), "items", items, items) if isinstance(found, list) else "no list"
    return None


@rule(_GROUP)
def one_of(answer: str, choices: Sequence[str]) -> str | None:
    """One of the choices and nothing else, but for marks around it."""
    said = answer.strip().strip("\"'*`.!").lower()
    return (
        None
        if said in {one.strip(".!").lower() for one in choices}
        else "it is none of the choices"
    )


@rule(_GROUP)
def two_answers(answer: str) -> str | None:
    """Two different answers with six asterisks between them."""
    parts = [part.strip() for part in answer.split("******")]
    if len(parts) > 2 and not parts[-1]:
        parts = parts[:-1]
    if len(parts) > 2 and not parts[0]:
        parts = parts[1:]
    if len(parts) != 2 or not all(parts):
        return f"{sum(map(bool, parts))} answers, 2 wanted"
    return "the two are the same" if parts[0] == parts[1] else None


@rule(_GROUP)
def repeats(answer: str, text: str) -> str | None:
    """It begins with a text word for word, and says more."""
    said = answer.strip()
    if not said.lower().startswith(text.lower()):
        return "it does not begin with the text"
    return None if said[len(text) :].strip() else "nothing follows the text"


@rule(_GROUP)
def number(answer: str) -> str | None:
    """A number in digits and nothing else."""
    said = answer.strip().rstrip(".")
    return None if re.fullmatch(r"[-+]?\d[\d,]*(?:\.\d+)?", said) else "it is not a number alone"


@rule(_GROUP)
def list_of(answer: str, count: int, separator: str = ",") -> str | None:
    """So many items with a separator between them, on one line."""
    if "\n" in answer.strip():
        return "it has several lines"
    items = [one.strip() for one in answer.strip().rstrip(".").split(separator)]
    return outside(sum(map(bool, items)), "items", count, count)
