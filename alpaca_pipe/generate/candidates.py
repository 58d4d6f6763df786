"""What comes back from a seat, on its way to a verdict, and a seat as the row that is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection
from alpaca_pipe.generate.replay.replay import Told
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.similarity.rouge import Neighbour


@dataclass(frozen=True)
class Candidate:
    """A piece on its way to a verdict. told: the replies that it took, the last one wrote its output."""

    seat: Seat
    item: str  # within the seat
    piece: Piece
    told: tuple[Told, ...]
    verdict: Rejection | Neighbour | None = None

    @property
    def place(self) -> str:
        return f"{place_of(self.seat)}/{self.item}"

    @property
    def next(self) -> str:
        """The place of what is asked next of it."""
        return f"{self.place}.{len(self.told)}"

    @property
    def accepted(self) -> bool:
        """Not rejected so far."""
        return isinstance(self.piece, Draft) and not isinstance(self.verdict, Rejection)


@dataclass
class ReplyTotals:
    """Sums over all replies."""

    requests: int = 0
    from_store: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    models: set[str] = field(default_factory=set)  # what the server says it served
    replayed: int = 0  # taken from the earlier run
    otherwise: int = 0  # of those, the ones that would be asked otherwise today
    thoughts: int = 0  # replies whose thinking stood in their text, and was left out
    unasked: int = 0  # that were done without, since nothing may be sent

    def add(self, replies: Iterable[Completion]) -> None:
        for reply in replies:
            self.requests += 1
            self.from_store += reply.from_store
            self.tokens_in += reply.usage.tokens_in
            self.tokens_out += reply.usage.tokens_out
            self.thoughts += reply.thought
            if reply.model_said:
                self.models.add(reply.model_said)


def place_of(seat: Seat) -> str:
    return f"{seat.round}/{seat.place}"


def noted(seat: Seat, first: Told, entries: Sequence[Candidate]) -> dict[str, Any]:
    """A seat as a row: what was asked at each step, and what came of it."""
    steps = {
        told.place: told for told in (first, *(told for entry in entries for told in entry.told))
    }
    row: dict[str, Any] = {
        "round": seat.round,
        "seat": seat.place,
        "keys": [told.reply.key for told in steps.values()],
        "steps": [place.removeprefix(place_of(seat)).removeprefix("/") for place in steps],
        "draws": [told.draw for told in steps.values()],
        "prompts": [told.prompt for told in steps.values()],
        "finish": [told.reply.finish for told in steps.values()],
        "shown": [seed.example.id for seed in seat.shown],
        "topics": list(seat.topics),
        "pieces": len(entries),
        "accepted": sum(entry.accepted for entry in entries),
    }
    more: Mapping[str, Any] = {
        "ground": seat.ground and seat.ground.source,
        "machine": [row.id for row in seat.machine],
        "lacks": list(seat.lacks),
        "worn": list(seat.worn),
    }
    return row | {name: value for name, value in more.items() if value}
