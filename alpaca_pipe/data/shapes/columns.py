"""What the user says that columns mean: `--columns instruction=query,input=context`, and whose turns a speaker's are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import get_args

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Role
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.data.shapes.keys import EARLIER, Meaning, plain

# What a column can be said to be. `unread`: nothing; it is left out.
PARTS: Mapping[str, Meaning] = {
    "instruction": "instruction",
    "input": "input",
    "output": "output",
    "system": "system",
    "history": "history",
    "messages": "messages",
    "chosen": "chosen",
    "rejected": "rejected",
    "choices": "choices",
    "label": "label",
    "weight": "weight",
    "status": "status",
    "reasoning": "reasoning",
    "tools": "tools",
    "unread": "meta",
}
TURN_KEYS = (
    "role",
    "content",
)  # of a turn: the key that says who speaks, and the key of what is said
ROLES: tuple[Role, ...] = get_args(Role)


def option(*named: tuple[str, str]) -> str:
    """`--columns input=ctx,output=a` as a shell takes it, whatever stands in the keys. named: (part, key) each."""
    pairs = (f"{part}={key}".replace(",", "\\,") for part, key in named)
    return f"--columns {shlex.quote(','.join(pairs))}"


@dataclass(frozen=True)
class Columns:
    """parts: key -> (what it means, its place among those of that meaning). roles: speaker as it is looked up -> role.
    turns: the keys of a turn. only: nothing but what is named is read."""

    parts: Mapping[str, tuple[Meaning, int]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    turns: Mapping[str, str] = field(default_factory=dict)
    only: bool = False

    @staticmethod
    def of(named: Mapping[str, str | Iterable[str]], only: bool = False) -> Columns:
        """named: part or role -> its column or columns. Raises UserError for a part that there is none of."""
        parts: dict[str, tuple[Meaning, int]] = {}
        roles: dict[str, str] = {}
        turns: dict[str, str] = {}
        for part, given in named.items():
            keys = (given,) if isinstance(given, str) else tuple(given)
            if part in TURN_KEYS:
                turns[part] = keys[0]
            elif part in (*ROLES, "system_role") and part != "system":
                roles |= {plain(key): part.removesuffix("_role") for key in keys}
            elif part in PARTS:
                for place, key in enumerate(keys):
                    if key in parts:
                        raise UserError(
                            f"columns: '{key}' is named twice", "say one thing of each column"
                        )
                    rank = EARLIER if part == "unread" else place
                    parts[key] = (PARTS[part], rank)
            else:
                raise UserError(
                    f"columns: there is no part '{part}'",
                    did_you_mean(part, [*PARTS, *ROLES, *TURN_KEYS]),
                )
        return Columns(parts, roles, turns, only)

    @staticmethod
    def parse(text: str) -> dict[str, tuple[str, ...]]:
        """`instruction=query,input=title,input=body` as part -> columns; a comma in a name is written `\\,`. Raises UserError."""
        found: dict[str, tuple[str, ...]] = {}
        for piece in re.split(r"(?<!\\),", text):
            part, sign, key = (one.strip() for one in piece.partition("="))
            if not sign or not part or not key:
                raise UserError(
                    f"--columns: '{piece}' does not say which column is what",
                    "for example --columns instruction=query,output=answer",
                )
            found[part] = (*found.get(part, ()), key.replace("\\,", ","))
        return found

    def of_row(self, keys: Iterable[str]) -> dict[str, tuple[Meaning, int]]:
        """Of the keys of a row those that are named; case does not matter where no key is spelled so."""
        if not self.parts:
            return {}
        there = list(keys)
        found: dict[str, tuple[Meaning, int]] = {}
        for name, said in self.parts.items():
            key = self.named(name, there)
            if key is not None:
                found[key] = said
        return found

    @staticmethod
    def named(name: str, keys: Iterable[str]) -> str | None:
        """The key that a name means."""
        there = list(keys)
        return next((key for key in there if key == name), None) or next(
            (key for key in there if key.casefold() == name.casefold()), None
        )

    def __bool__(self) -> bool:
        return bool(self.parts or self.roles or self.turns)
