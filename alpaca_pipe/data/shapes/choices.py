"""A question of several choices: the choices stand below it, each with its letter, and the answer names one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.data.shapes.base import About, NotARow
from alpaca_pipe.data.shapes.layout import Column
from alpaca_pipe.data.shapes.values import text_of, unpacked

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def choices_of(
    row: Mapping[str, Any], columns: Sequence[Column], about: About
) -> tuple[str, dict[str, str]]:
    """(the choices as lines, label -> text). A list, {"A": ..., "B": ...}, {"label": [...], "text": [...]}, or one column
    for each. Raises NotARow."""
    if len(columns) > 1:
        values: Any = [row[one.key] for one in columns]
    else:
        values = unpacked(row[columns[0].key])
    where = f"'{columns[0].key}'"
    labels: list[str] = []
    if isinstance(values, dict) and isinstance(values.get("text"), list):
        given = values.get("label")
        labels = [str(one) for one in given] if isinstance(given, list) else []
        values = values["text"]
    elif isinstance(values, dict):
        labels, values = [str(key) for key in values], list(values.values())
    elif isinstance(values, list) and all(isinstance(one, dict) for one in values):
        labels = [str(one.get("label") or one.get("key") or "") for one in values]
    if isinstance(values, str):
        return values, {}
    if not isinstance(values, list) or len(values) > len(_LETTERS):
        raise NotARow(f"{where} holds no list of choices", "write a list of texts")
    texts = [text_of(one, where, about) for one in values]
    if len(labels) != len(texts) or not all(labels):
        labels = list(_LETTERS[: len(texts)])
        texts = _without_letters(texts)
    lines = [f"{label}. {text}" for label, text in zip(labels, texts, strict=True)]
    return "\n".join(lines), dict(zip(labels, texts, strict=True))


def _without_letters(texts: list[str]) -> list[str]:
    """`A) fern`, `B) palm`: the letters that a list brings along are not written twice."""
    own = [re.match(r"\s*\(?([A-Za-z])[).:]\s*", text) for text in texts]
    found = [one[1].upper() for one in own if one]
    if found != list(_LETTERS[: len(texts)]):
        return texts
    return [text[one.end() :] for text, one in zip(texts, own, strict=True) if one]


def _check_one_meaning(value: Any, named: str, choices: Mapping[str, str]) -> None:
    """Raises NotARow for a number that is the text of one choice and the place of another."""
    if not isinstance(value, int) or isinstance(value, bool) or named in choices:
        return
    texts = list(choices.values())
    if 0 <= value < len(texts) and texts[value] != named:
        raise NotARow(
            f"the answer {value} is the text of one choice and the place of another",
            "write the letter of the choice there, or its text in quotes",
        )


def with_choice(value: Any, answer: str, choices: Mapping[str, str], about: About) -> str:
    """The answer, with the text of the choice where it only names one by letter or by place (from 0)."""
    named = answer.strip()
    if named in choices.values():
        _check_one_meaning(value, named, choices)
        return answer
    if isinstance(value, bool):
        raise NotARow(
            f"the answer is {answer}, and none of the choices is called so",
            "write the letter or the text of the choice there",
        )
    letter = named.strip("().: ").upper()
    if named not in choices and len(letter) == 1 and letter in choices and letter.isalpha():
        named = letter
    if named not in choices and (not isinstance(value, str) or named.isdigit()):
        number = float(named) if named.isdigit() else value
        place = int(number) if isinstance(number, int | float) and number == int(number) else -1
        labels = list(choices)
        if place >= len(labels) > 0:
            raise NotARow(
                f"the answer {answer} names none of {len(labels)} choices, which are counted from 0",
                "write the letter or the text of the choice there",
            )
        named = labels[place] if 0 <= place < len(labels) else ""
    if named not in choices:
        return answer
    about.say("an answer that names a choice has its text beside it")
    return f"{named}. {choices[named]}"
