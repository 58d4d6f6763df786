"""The replies that a recipe's earlier run got, seat by seat: a changed filter judges them anew and buys nothing.

With another likeness, another pool grows, and a style that looks at the pool would ask otherwise from the second round on.
The replies are good all the same: each seat takes the one that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.files import read_json, read_jsonl_so_far, write_json
from alpaca_pipe.generate.replay.identity import asking, judged_alike
from alpaca_pipe.ledger.store.journal import Journal

SEATS = "seats.jsonl"  # a line for each seat, written as the rounds end
_CHOICE = "replay.json"  # in the scratch folder: which earlier run, so that a run that goes on goes on with it


@dataclass(frozen=True)
class Told:
    """A reply and the place where it was asked for. draw: which one of the same prompt; prompt: its digest."""

    place: str
    reply: Completion
    draw: int
    prompt: str


@dataclass(frozen=True)
class Replay:
    """of: the step's folder, by name.  A place is `round/seat`, and `round/seat/item.step` for what followed."""

    of: str = ""
    journal: Journal | None = field(default=None, repr=False)
    asked: Mapping[str, tuple[str, int, str]] = field(
        default_factory=dict, repr=False
    )  # place -> key, draw, prompt

    def at(self, place: str) -> Told | None:
        """What was said at a place, where that is stored."""
        if place not in self.asked or self.journal is None:
            return None
        key, draw, prompt = self.asked[place]
        reply = self.journal.stored(key)
        return Told(place, reply, draw, prompt) if reply else None


class NotStored(Exception):
    """A request without a stored reply, where nothing may be sent."""


class StoredTeacher:
    """A teacher that only remembers: whom we would ask, without a connection."""

    def __init__(
        self, identity: Mapping[str, Any], takes: frozenset[str], journal: Journal
    ) -> None:
        self.identity, self.takes, self._journal = identity, takes, journal

    async def ask(self, request: Request, name: str = "") -> Completion:
        reply = self._journal.stored(request.key(self.identity))
        if reply is None:
            raise NotStored
        return reply


def earlier(
    folder: Path, scratch: Path, candidates: Iterable[Path | None], journal: Journal, fresh: bool
) -> Replay:
    """The run whose replies the step in `folder` takes over: the first of the candidates that asked the same, or the one that
    it began with."""
    choice = scratch / _CHOICE
    if fresh or not choice.exists():
        found = next(
            (one.name for one in candidates if one and not fresh and _asked_the_same(one, folder)),
            "",
        )
        write_json(choice, {"of": found})
    of = read_json(choice)["of"]
    if not of:
        return Replay()
    asked = {
        place: told
        for row in read_jsonl_so_far(folder.parent / of / SEATS)
        for place, told in _places(row)
    }
    return Replay(of, journal, asked)


def changed_filter(sealed: Path | None, folder: Path) -> bool:
    """Whether this step asks what the recipe's sealed one asked, and only judges otherwise."""
    return (
        sealed is not None
        and _asked_the_same(sealed, folder)
        and not judged_alike(_identity(sealed)["config"], _identity(folder)["config"])
    )


def _asked_the_same(one: Path, other: Path) -> bool:
    if one == other:
        return False
    try:
        mine, theirs = _identity(one), _identity(other)
        return bool(
            _whom(mine) == _whom(theirs)
            and asking(mine["config"]) == asking(theirs["config"])
            and mine["config"]["round_size"] == theirs["config"]["round_size"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False  # damaged, or of an older version


def _whom(identity: Mapping[str, Any]) -> list[Any]:
    return [identity["version"], identity["uses"]["teacher"], identity["uses"].get("seed")]


def _identity(folder: Path) -> dict[str, Any]:
    identity: dict[str, Any] = read_json(folder / "stage.json")
    return identity


def _places(row: Mapping[str, Any]) -> Iterable[tuple[str, tuple[str, int, str]]]:
    at = f"{row['round']}/{row['seat']}"
    for step, key, draw, prompt in zip(
        row["steps"], row["keys"], row["draws"], row["prompts"], strict=True
    ):
        yield f"{at}/{step}" if step else at, (key, draw, prompt)
