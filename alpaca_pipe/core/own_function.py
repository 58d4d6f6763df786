"""A function of the user's own, named in a recipe as `mine.py:too_polite`: found without running the file, known by its source."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import ExistingPath, Table
from alpaca_pipe.core.errors import UserError, first_line


class OwnFunction(Table):
    """A function in a Python file. The file's content decides what depends on it; what it imports beside itself is not seen."""

    file: ExistingPath
    function: str = Field(pattern=r"^[A-Za-z_]\w*$")

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if isinstance(value, str):
            file, _, function = value.rpartition(":")
            return {"file": file, "function": function}
        return value

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        try:
            tree = ast.parse(self.file.read_bytes(), str(self.file))
        except (SyntaxError, ValueError, OSError, RecursionError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
            raise ValueError(f"{self.file}{line} is not Python: {first_line(error)}") from None
        names = [one.name for one in tree.body if isinstance(one, ast.FunctionDef)]
        if self.function not in names:
            having = f"it has {', '.join(names)}" if names else "it has none"
            raise ValueError(f"{self.file} has no function '{self.function}' at its top - {having}")
        return self

    @property
    def called(self) -> str:
        """As a sentence names it."""
        return f"{self.file.name}:{self.function}"

    @cached_property
    def load(self) -> Callable[..., Any]:
        """The function; its file is run once. Raises UserError for what the file raises."""
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location(f"own_{self.file.stem}", self.file)
        assert spec and spec.loader
        module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            found = getattr(module, self.function)
        except (Exception, SystemExit) as error:  # noqa: BLE001  it is the user's code
            raise UserError(
                f"{self.file} cannot be loaded: {type(error).__name__}: {first_line(error)}",
                "fix it; `python FILE` shows where",
            ) from None
        return found  # type: ignore[no-any-return]


def is_own(value: Any) -> bool:
    """Whether a word of a recipe names one."""
    return isinstance(value, str) and ".py:" in value
