"""A Jinja file of the user's own, rendered in a sandbox: what is wrong with it is a sentence that names its line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, first_line

# What a user's file may raise beside Jinja's own errors: a macro that calls itself without an end, a text too large for memory.
_MOST = 1 << 20  # characters that one comes to
FAILS = (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, MemoryError)


class JinjaFile:
    """key: of the recipe, that names the file.  known: the names that it may use, as a sentence lists them."""

    def __init__(self, file: Path, key: str, known: str) -> None:
        self._file, self._key, self._known = file, key, known

    def render(self, values: Mapping[str, Any]) -> str:
        """The text without blanks around it, which is never empty. Raises UserError with the file's line."""
        template = self._template  # says it where jinja2 is not there
        from jinja2 import TemplateError

        try:
            text = str(template.render(values)).strip()
        except (TemplateError, *FAILS) as error:
            raise self._wrong(error) from None
        if not text or len(text) > _MOST:
            what = "nothing" if not text else f"{len(text):,} characters"
            raise UserError(
                f"{self._key}: {self._file.name} comes out as {what}",
                "fix the file; `plan` tries it",
            )
        return text

    @cached_property
    def _template(self) -> Any:
        try:
            from jinja2 import StrictUndefined, TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ModuleNotFoundError:
            raise UserError(
                f"{self._key} needs jinja2, which is not installed",
                "pip install 'alpaca-pipe[report]'",
            ) from None
        try:
            text = self._file.read_text(encoding="utf-8")
            return ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(text)
        except UnicodeDecodeError:
            raise UserError(f"{self._file}: the file is not UTF-8", "save it as UTF-8") from None
        except (TemplateError, RecursionError, MemoryError) as error:
            raise self._wrong(error) from None

    def _wrong(self, error: Exception) -> UserError:
        line = getattr(error, "lineno", None) or _line_in_template(error)
        where = f"{self._file}:{line}" if line else str(self._file)
        return UserError(f"{where}: {what_failed(error)}", f"it may use {self._known}")


def what_failed(error: Exception) -> str:
    """One line; Python's own of memory says nothing."""
    return (
        "it needs more memory than there is"
        if isinstance(error, MemoryError)
        else first_line(error)
    )


def _line_in_template(error: Exception) -> int | None:
    """Jinja writes the file's lines into the traceback."""
    line, at = None, error.__traceback__
    while at:
        if at.tb_frame.f_code.co_filename == "<template>":
            line = at.tb_lineno
        at = at.tb_next
    return line
