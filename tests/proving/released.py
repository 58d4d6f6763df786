"""Plays text-davinci-003 of March 2023: says rows that exist, 16 to a reply, in the layout that Stanford's prompt asks for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json

ROWS = 16  # numbers 4 to 19: 20 stops
_FIRST, _LAST = 4, 19


class Released:
    """The rows of a file, in its order: each new question gets the next ones, and the same question the same ones again."""

    def __init__(self, file: Path) -> None:
        rows = (
            json.loads(gzip.decompress(file.read_bytes()))
            if file.suffix == ".gz"
            else read_json(file)
        )
        self._parts = [rows[begin : begin + ROWS] for begin in range(0, len(rows), ROWS)]
        self._turn: dict[str, int] = {}

    def reply(self, asked: str, body: Mapping[str, Any], applies_stop: bool) -> str:
        """What is said to a question; where stops are not applied, the twentieth task is begun as well."""
        turn = self._turn.setdefault(asked, len(self._turn))
        text = layout(self._parts[turn]) if turn < len(self._parts) else ""
        return until(text, body.get("stop") or ()) if applies_stop else text


def layout(rows: Sequence[Mapping[str, str]]) -> str:
    """What comes after an open `4. Instruction:`. After 16 rows the twentieth task is begun; fewer are a last reply."""
    return f"{tasks(rows)}###\n{_LAST + 1}. Instruction: Say" if len(rows) == ROWS else tasks(rows)


def tasks(rows: Sequence[Mapping[str, str]]) -> str:
    told = [
        f" {row['instruction']}\n{number}. Input:\n{row['input'] or '<noinput>'}\n{number}. Output:\n{row['output']}\n"
        for number, row in enumerate(rows, _FIRST)
    ]
    return told[0] + "".join(
        f"###\n{number}. Instruction:{task}" for number, task in enumerate(told[1:], _FIRST + 1)
    )


def until(text: str, stops: Sequence[str] | str) -> str:
    places = [
        place
        for stop in ([stops] if isinstance(stops, str) else stops)
        if (place := text.find(stop)) >= 0
    ]
    return text[: min(places)] if places else text
