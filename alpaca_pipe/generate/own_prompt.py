"""The user's own words for a style's prompt: a Jinja file in the place of the last message. What is asked with it (decoding,
schema, system text, follow-ups) and how the reply is read stay the style's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.jinja_file import JinjaFile

_KNOWN = "prompt, seeds, tasks, topics, kinds, worn, domain, passage, row"


class _Style(Protocol):
    """Of a style (styles/base.py), what is wrapped here. A seat is what its prompt depends on."""

    goes_on: ClassVar[bool]

    def tasks(self, shown: int) -> int: ...

    def request_for(self, seat: Any) -> Request: ...


class OwnPrompt:
    """A style in all but its words. The file may use

    prompt: what the style itself would write; seeds: the shown ones, {instruction, input, output, topic} each; tasks: how many
    are wanted; topics, kinds: of each of them, where the style draws some; worn: first words that too many rows have; domain;
    passage: of the document; row: {instruction, input, output} that is reworked. Raises UserError with the file's line."""

    def __init__(self, style: _Style, file: Path, domain: str) -> None:
        self._style, self._domain = style, domain
        self.ends_otherwise = ""  # how the style's own prompt ends, where a reply goes on from there and the file ends otherwise
        self._words = JinjaFile(file, "generate.prompt", _KNOWN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._style, name)

    def request_for(self, seat: Any) -> Request:
        asked = self._style.request_for(seat)
        *before, last = asked.messages
        text = self._rendered(last.content, seat)
        end = _last_line(last.content)
        if self._style.goes_on and _last_line(text) != end:
            self.ends_otherwise = end
        return replace(asked, messages=(*before, replace(last, content=text)))

    def _rendered(self, prompt: str, seat: Any) -> str:
        row = seat.ground.example if seat.ground else None
        known = {
            "prompt": prompt,
            "seeds": [{**_texts(seed.example), "topic": seed.topic} for seed in (*seat.shown,)],
            "tasks": self._style.tasks(len(seat.shown)),
            "topics": list(seat.topics),
            "kinds": list(seat.lacks),
            "worn": list(seat.worn),
            "domain": self._domain,
            "passage": "" if row or not seat.ground else seat.ground.text,
            "row": _texts(row) if row else None,
        }
        return self._words.render(known)


def how_it_ends(style: object, file: Path) -> Sequence[str]:
    """What the plan says of prompts that were built, where a reply is read as going on from an end that they have not."""
    if not isinstance(style, OwnPrompt) or not style.ends_otherwise:
        return ()
    said = f"a reply of style {style.name} goes on from the last line ({style.ends_otherwise}), and {file.name} ends otherwise"
    why = "a model that writes this line again loses a task of each reply"
    return (f"generate.prompt: {said}: {why} - put your words before it",)


def _last_line(text: str) -> str:
    return text.rstrip().rsplit("\n", 1)[-1].strip()


def _texts(row: Any) -> dict[str, str]:
    return {"instruction": row.instruction, "input": row.input, "output": row.output}
