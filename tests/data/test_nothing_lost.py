"""Rows of the public shapes with other texts in them: each text is in what was read or set aside, or its key is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Rejected
from alpaca_pipe.data.reading import ReadingNotes, read
from tests.data.test_any_columns import TOLD, texts_of
from tests.data.test_public_shapes import CASES

TOLD_TOO = (
    *TOLD,
    "of several replies",
    "a reply that was deleted or turned down",
    "a suggestion gives way",
)


def renamed(value: Any, words: list[str]) -> Any:
    """The value with each sentence in it replaced by one that is found again; roles, marks and rendered texts stay."""
    if isinstance(value, str):
        if len(value) < 14 or " " not in value or value[0] in "[{<\n#" or ":" in value[:14]:
            return value
        words.append(f"word{len(words) + 1}word")
        return f"{words[-1]} of a text."
    if isinstance(value, list):
        return [renamed(one, words) for one in value]
    return (
        {key: renamed(one, words) for key, one in value.items()}
        if isinstance(value, dict)
        else value
    )


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if isinstance(case["row"], dict)]
)
def test_no_text_goes_without_a_word(tmp_path: Path, name: str) -> None:
    words: list[str] = []
    row, per_key = dict[str, Any](), dict[str, list[str]]()
    for key, value in CASES[name]["row"].items():
        before = len(words)
        row[key] = renamed(value, words)
        per_key[key] = words[before:]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    told, aside = ReadingNotes(), list[Rejected]()
    try:
        found = [*read(path, told=told, aside=aside.append)]
    except UserError:
        return  # refused with a sentence: nothing is read
    held = "".join([*map(texts_of, found), *(json.dumps(one.to_row()) for one in aside)])
    summary = told.summary()
    said = " ".join([*summary.get("unread", {}), *summary.get("remarks", {})])
    for key, own in per_key.items():
        lost = [word for word in own if word not in held]
        assert not lost or key in said or any(one in said for one in TOLD_TOO), (key, summary)
