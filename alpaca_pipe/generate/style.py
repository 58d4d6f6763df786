"""What a style is: how the teacher is asked, and how its replies are read. One file each in styles/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.generate.novelty import Ties
from alpaca_pipe.generate.reply import Draft, Objection, Piece
from alpaca_pipe.generate.seeds import Seed


@dataclass(frozen=True)
class Seat:
    """One place in a round, and all that its prompt depends on."""

    round: int
    place: int  # within the round, from 0
    shown: tuple[Seed, ...]
    topics: tuple[str, ...]


class Style(Protocol):
    """Turns a seat into requests and replies into drafts, and keeps nothing in mind between two calls."""

    name: ClassVar[str]
    requests: ClassVar[int]  # that a seat takes at most
    one_prefix: ClassVar[bool]  # all seats of a round show the same seeds
    ties: ClassVar[Ties]  # how a pair at exactly the likeness is decided
    shows: ClassVar[str]  # which seeds it can show, as the end of a sentence; "" where all

    @property
    def topics(self) -> int:
        """How many are drawn for each seat."""

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        """The seeds that its prompts can show."""

    def ask(self, seat: Seat) -> Request: ...

    def read(self, seat: Seat, reply: Completion) -> list[Piece]:
        """The pieces of the reply, in their order; at least one."""

    def objection(self, draft: Draft) -> Objection | None:
        """What is wrong with a draft by itself."""

    def ask_answer(self, seat: Seat, draft: Draft) -> Request:
        """For a draft that came without its output."""

    def read_answer(self, draft: Draft, reply: Completion) -> Piece: ...


def decoding(takes: frozenset[str], always: Mapping[str, Any], **where_taken: Any) -> dict[str, Any]:
    """always: what the recipe asks for; where it is not taken, the teacher's `on_unsupported` decides.  where_taken:
    what helps a style along and is left out for a teacher without it."""
    wanted = {name: value for name, value in always.items() if value is not None}
    return wanted | {name: value for name, value in where_taken.items() if name in takes}
