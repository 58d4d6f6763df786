"""What a rule is, and how a module says that it has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.registry import members

Check = Callable[..., str | None]  # (answer, **args) -> why it is not kept, or None


@dataclass(frozen=True)
class Rule:
    """name: how prompts.jsonl calls it. group: what it is counted with."""

    name: str
    group: str
    check: Check

    def __call__(self, answer: str, **args: Any) -> str | None:
        """Why the answer does not keep it, in a few words, or None. An answer of nothing but blanks keeps no rule."""
        if not answer.strip():
            return "the answer is empty"
        reason = self.check(answer, **args)
        return reason and " ".join(reason.split())

    @property
    def says(self) -> str:
        return inspect.cleandoc(self.check.__doc__ or "")


def rule(group: str) -> Callable[[Check], Rule]:
    """Makes a function a rule of the same name: its docstring is its row in the manual, its parameters are its arguments."""
    return lambda check: Rule(check.__name__, group, check)


def rules() -> Mapping[str, Rule]:
    return {one.name: one for one in members("alpaca_pipe.evaluate.rules", Rule)}


def outside(count: int, what: str, at_least: int, at_most: int | None) -> str | None:
    """Why a count is not between two bounds, both allowed."""
    if count < at_least:
        return f"{count} {what}, at least {at_least} wanted"
    if at_most is not None and count > at_most:
        return f"{count} {what}, at most {at_most} wanted"
    return None
