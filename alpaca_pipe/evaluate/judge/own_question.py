"""The judge's question in the user's own words: a Jinja file that is tried before anything is paid. How a reply is read stays ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.jinja_file import JinjaFile

KEY = "evaluate.judge.question"
Mode = Literal["pairs", "grades"]
_MOST = 1 << 20  # characters of a question
_NEEDED: Mapping[Mode, tuple[str, ...]] = {
    "pairs": ("question", "A", "B"),
    "grades": ("question", "answer"),
}
_EARLIER: Mapping[Mode, tuple[str, ...]] = {
    "pairs": ("A_before", "B_before"),
    "grades": ("before",),
}


def rendered(file: Path, mode: Mode, row: Mapping[str, Any]) -> str:
    """row: see judge_requests.py; earlier turns are empty lists where there are none. Raises UserError."""
    text = _opened(file, mode).render({**dict.fromkeys(_EARLIER[mode], ()), **row}).strip()
    if not text or len(text) > _MOST:
        what = "nothing" if not text else f"{len(text):,} characters"
        raise UserError(f"{KEY}: {file.name} comes out as {what}", "fix the file; `plan` tries it")
    return text


def prove_question(file: Path, mode: Mode, several_turns: bool) -> None:
    """Each text that the judge must see gets into the question: tried with words that nobody writes. Raises UserError."""
    needed = _NEEDED[mode] + (_EARLIER[mode] if several_turns else ())
    marks: dict[str, Any] = {name: f"mark-{name}-7f3a" for name in _NEEDED[mode]}
    for name in _EARLIER[mode] if several_turns else ():
        marks[name] = [{"question": "earlier", "answer": f"mark-{name}-7f3a"}]
    text = rendered(file, mode, marks)
    if lost := [name for name in needed if f"mark-{name}-7f3a" not in text]:
        what = " and ".join(lost)
        turns = ", and some prompts have earlier turns" if lost[0] in _EARLIER[mode] else ""
        raise UserError(
            f"{KEY}: {file.name} leaves out {what}{turns}, so the judge could not see it",
            f"write {' and '.join(f'{{{{ {name} }}}}' for name in lost)} where it belongs",
        )


def _opened(file: Path, mode: Mode) -> JinjaFile:
    return JinjaFile(file, KEY, ", ".join((*_NEEDED[mode], *_EARLIER[mode])))


def as_json(row: Mapping[str, Any]) -> str:
    """How our own question shows it."""
    return json.dumps(row, ensure_ascii=False, indent=1)
