"""What a filter is, and how a module says that it has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass

Check = Callable[..., str | None]  # (example, **settings) -> why the row is dropped, or None
LooksAt = Literal["answers", "row"]


@dataclass(frozen=True)
class Filter:
    """One reason to drop a row. name: its key under `filters:`. order: its place among all of them, for the first that drops
    a row gives the reason. on: unless a recipe says otherwise. sets: named sets that it belongs to, beside `default`.

    looks_at: of a conversation each learned answer with the question before it, as a row of one exchange; or the row as a
    whole, whose instruction is the first question.
    """

    name: str
    check: Check
    order: int
    on: bool = True
    sets: tuple[str, ...] = ()
    looks_at: LooksAt = "answers"

    def __call__(self, example: Example, **settings: Any) -> str | None:
        """Why the row is dropped, in one line, or None. settings: those that are not given have their defaults."""
        return self.check(example, **settings)

    @property
    def says(self) -> str:
        """What it drops, as the manual has it: the whole docstring of its function."""
        return inspect.cleandoc(self.check.__doc__ or "")

    @property
    def settings(self) -> tuple[inspect.Parameter, ...]:
        """The parameters after the example, with their types and defaults."""
        return tuple(inspect.signature(self.check, eval_str=True).parameters.values())[1:]


def row_filter(
    *, order: int, on: bool = True, sets: tuple[str, ...] = (), looks_at: LooksAt = "answers"
) -> Callable[[Check], Filter]:
    """Makes a function a filter of the same name: its docstring is its row in the manual, its parameters are its settings.
    What a detector compiles is imported inside the function, for every command imports the module."""
    return lambda check: Filter(check.__name__, check, order, on, sets, looks_at)


def per_exchange(check: Check, every: bool, example: Example) -> str | None:
    """The first reason that an exchange of a conversation gives, and which one; every: also where the answer is not learned."""
    for one in example.exchanges():
        if (every or one.learned) and (reason := check(one.example)):
            return f"answer {one.number}: {reason}"
    return None


def shortened(text: str, most: int = 60) -> str:
    """On one line, and cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
