"""The recipe's table `on:` - who is told when a run is done, stopped or failed, or when four fifths of a budget are used."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from alpaca_pipe.core.config_table import Table

HookEvent = Literal["done", "stopped", "failed", "budget_80"]


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _callable(hooks: tuple[str, ...]) -> tuple[str, ...]:
    for hook in hooks:
        if not hook.strip():
            raise ValueError("it is empty - write a command or a https:// address")
        if is_address(hook) and not urlsplit(hook).hostname:
            raise ValueError(f"'{hook}' names no host - write https://host/path")
    return hooks


def is_address(hook: str) -> bool:
    return hook.startswith(("http://", "https://"))


_Calls = Annotated[
    tuple[str, ...],
    BeforeValidator(_several, json_schema_input_type=str | list[str]),
    AfterValidator(_callable),
]
_EACH = (
    "each a shell command, which reads the event as JSON from its standard input; a https:// address, to which it is posted; "
    "or $NAME, a variable that holds such an address"
)


def variable_of(hook: str) -> str:
    """The name of the variable that holds its address; "" where it is none: `$HOME/bin/tell` is a command."""
    return hook[1:] if re.fullmatch(r"\$[A-Za-z_]\w*", hook) else ""


def is_command(hook: str) -> bool:
    return not is_address(hook) and not variable_of(hook)


class Hooks(Table):
    """Who is told of a run's end, or of a budget that is nearly used. A hook that fails is said, and changes nothing else."""

    done: _Calls = Field((), description=f"when a run ended well: {_EACH}")
    stopped: _Calls = Field(
        (),
        description="when a run was stopped, by a person or by its budget: `cause` in the event says by which",
    )
    failed: _Calls = Field((), description="when a run failed")
    budget_80: _Calls = Field(
        (),
        description="once a run, when 80 % of a budget are owed: settled, lost or lent, without what is in flight",
    )

    def of(self, event: HookEvent) -> tuple[str, ...]:
        calls: tuple[str, ...] = getattr(self, event)
        return calls

    @property
    def commands(self) -> tuple[str, ...]:
        """What would be run on this machine."""
        return tuple(filter(is_command, self._every()))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Who would be told elsewhere: addresses, and names of variables that hold one."""
        return tuple(one for one in self._every() if not is_command(one))

    @property
    def unset(self) -> tuple[str, ...]:
        """Variables that should hold an address, and do not."""
        names = dict.fromkeys(filter(None, map(variable_of, self._every())))
        return tuple(name for name in names if not is_address(os.environ.get(name, "")))

    def _every(self) -> tuple[str, ...]:
        return (*self.done, *self.stopped, *self.failed, *self.budget_80)
