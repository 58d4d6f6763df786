"""The user's own words for a style's prompt: a Jinja file in the place of the last message. What is asked with it (decoding,
schema, system text, follow-ups) and how the reply is read stay the style's."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserError, first_line

_MOST = 1 << 20  # characters of a prompt
_KNOWN = "prompt, seeds, tasks, topics, kinds, worn, domain, passage, row"


class _Style(Protocol):
    """Of a style (styles/base.py), what is wrapped here. A seat is what its prompt depends on."""

    def tasks(self, shown: int) -> int: ...

    def request_for(self, seat: Any) -> Request: ...


class OwnPrompt:
    """A style in all but its words. The file may use

    prompt: what the style itself would write; seeds: the shown ones, {instruction, input, output, topic} each; tasks: how many
    are wanted; topics, kinds: of each of them, where the style draws some; worn: first words that too many rows have; domain;
    passage: of the document; row: {instruction, input, output} that is reworked. Raises UserError with the file's line."""

    def __init__(self, style: _Style, file: Path, domain: str) -> None:
        self._style, self._file, self._domain = style, file, domain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._style, name)

    def request_for(self, seat: Any) -> Request:
        asked = self._style.request_for(seat)
        *before, last = asked.messages
        text = self._rendered(last.content, seat).strip()
        if not text or len(text) > _MOST:
            what = "nothing" if not text else f"{len(text):,} characters"
            raise UserError(
                f"{self._file}: the prompt comes out as {what}", "fix the file; `plan` tries it"
            )
        return replace(asked, messages=(*before, replace(last, content=text)))

    def _rendered(self, prompt: str, seat: Any) -> str:
        from jinja2 import TemplateError

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
        try:
            return str(self._template.render(known))
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise self._wrong(error) from None

    @cached_property
    def _template(self) -> Any:
        try:
            from jinja2 import StrictUndefined, TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ModuleNotFoundError:
            raise UserError(
                "generate.prompt needs jinja2, which is not installed",
                "pip install 'alpaca-pipe[report]'",
            ) from None
        try:
            text = self._file.read_text(encoding="utf-8")
            return ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(text)
        except UnicodeDecodeError:
            raise UserError(f"{self._file}: the file is not UTF-8", "save it as UTF-8") from None
        except TemplateError as error:
            raise self._wrong(error) from None

    def _wrong(self, error: Exception) -> UserError:
        line = getattr(error, "lineno", None) or _line_in_template(error)
        where = f"{self._file}:{line}" if line else str(self._file)
        return UserError(f"{where}: {first_line(error)}", f"it may use {_KNOWN}")


def _texts(row: Any) -> dict[str, str]:
    return {"instruction": row.instruction, "input": row.input, "output": row.output}


def _line_in_template(error: Exception) -> int | None:
    """Jinja writes the file's lines into the traceback."""
    line, at = None, error.__traceback__
    while at:
        if at.tb_frame.f_code.co_filename == "<template>":
            line = at.tb_lineno
        at = at.tb_next
    return line
