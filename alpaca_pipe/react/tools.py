"""The tools that a model may ask: ours by name, and a person's own as `file.py:function`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.react.calculator import calculator
from alpaca_pipe.react.wikipedia import search_wikipedia

_LONGEST = 2000  # characters of what a tool found


@dataclass(frozen=True)
class Tool:
    """says: what it does, in a line for the model.  call: takes the text in brackets."""

    name: str
    says: str
    call: Callable[[str], object]

    def answer(self, text: str) -> str:
        """What it found, as one text; what went wrong, as the model is to read it. Never raises an Exception."""
        try:
            found = str(self.call(text)).strip() or "nothing"
        except Exception as error:  # noqa: BLE001  a person's own function: whatever it raises is for the model to read
            return f"error: {first_line(error)[:_LONGEST]}"
        return found if len(found) <= _LONGEST else f"{found[:_LONGEST]} ... (cut)"


OURS = ("calculator", "search_wikipedia")


def tools_named(names: Iterable[str]) -> tuple[Tool, ...]:
    """Raises UserError for an unknown name, a file that cannot be read, or a function without a docstring."""
    found = tuple(_named(name.strip()) for name in names if name.strip())
    if not found:
        raise UserError("no tool is named", f"name some of {', '.join(OURS)}, or file.py:function")
    if twice := {one.name for one in found if [two.name for two in found].count(one.name) > 1}:
        raise UserError(f"two tools are called {min(twice)}", "rename one of the functions")
    return found


def _named(name: str) -> Tool:
    ours: dict[str, Callable[[str], object]] = {
        "calculator": calculator,
        "search_wikipedia": search_wikipedia,
    }
    if name in ours:
        return Tool(name, _first_line_of(ours[name]), ours[name])
    if ":" not in name:
        raise UserError(
            f"there is no tool {name}", f"{did_you_mean(name, OURS)} Or file.py:function"
        )
    return _own(name)


def _own(text: str) -> Tool:
    from pydantic import ValidationError

    from alpaca_pipe.core.own_function import OwnFunction

    try:
        own = OwnFunction.model_validate(text, context={"folder": Path.cwd()})
    except ValidationError as error:
        says = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise UserError(f"the tool {text}: {says}", "write a tool as file.py:function") from None
    call = own.load
    if not inspect.getdoc(call):
        raise UserError(
            f"{own.called} has no docstring",
            "write one line that tells the model what it does, and with what",
        )
    return Tool(own.function, _first_line_of(call), call)


def _first_line_of(call: Callable[..., object]) -> str:
    says = (inspect.getdoc(call) or "").split("\n\n")[0].replace("\n", " ")
    return says.partition(" Raises ")[0]
