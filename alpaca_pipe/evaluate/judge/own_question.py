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
_NEEDED: Mapping[Mode, tuple[str, ...]] = {
    "pairs": ("question", "A", "B"),
    "grades": ("question", "answer"),
}
_EARLIER: Mapping[Mode, tuple[str, ...]] = {
    "pairs": ("A_before", "B_before"),
    "grades": ("before",),
}


class OwnQuestion:
    """The file as it was when it was first rendered: what is edited later is not asked."""

    def __init__(self, file: Path, mode: Mode) -> None:
        self._file, self._mode = file, mode
        self._words = JinjaFile(file, KEY, ", ".join((*_NEEDED[mode], *_EARLIER[mode])))

    def rendered(self, row: Mapping[str, Any]) -> str:
        """row: see judge_requests.py; earlier turns are empty lists where there are none. Raises UserError."""
        return self._words.render({**dict.fromkeys(_EARLIER[self._mode], ()), **row})

    def prove(self, several_turns: bool) -> None:
        """Each text that the judge must see gets into the question: tried with words that nobody writes. Raises UserError."""
        earlier = _EARLIER[self._mode] if several_turns else ()
        marks: dict[str, Any] = {name: f"mark-{name}-7f3a" for name in _NEEDED[self._mode]}
        for name in earlier:
            marks[name] = [{"question": "earlier", "answer": f"mark-{name}-7f3a"}]
        text = self.rendered(marks)
        if lost := [name for name in marks if f"mark-{name}-7f3a" not in text]:
            turns = ", and some prompts have earlier turns" if lost[0] in earlier else ""
            raise UserError(
                f"{KEY}: {self._file.name} leaves out {' and '.join(lost)}{turns}, so the judge could not see it",
                f"write {' and '.join(f'{{{{ {name} }}}}' for name in lost)} where it belongs",
            )


def as_json(row: Mapping[str, Any]) -> str:
    """How our own question shows it."""
    return json.dumps(row, ensure_ascii=False, indent=1)
