"""What replies were like, in sums that can be added: what a forecast learns from, of one round or of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Self

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.outside_numbers import whole_number


@dataclass(frozen=True)
class RoundStats:
    """Sums over some seats. pool: instructions that were known when they were asked; of several rounds, of the first.

    pieces: what the replies held; near: of them dropped as near a known instruction; new: let into the pool; accepted:
    rows.  answers: requests for an answer by itself.  timed, seconds: requests none of which was stored, and their time.
    """

    seats: int = 0
    answers: int = 0
    pieces: int = 0
    near: int = 0
    new: int = 0
    accepted: int = 0
    in_first: int = 0
    in_first_squares: int = 0
    in_answers: int = 0
    in_answers_squares: int = 0
    out_first: int = 0
    out_first_squares: int = 0
    out_answers: int = 0
    out_answers_squares: int = 0
    pool: int = 0
    attempts: int = 0
    lost: int = 0
    timed: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, first: Sequence[Completion], answers: Sequence[Completion], **counts: int) -> Self:
        """One round: its first replies and those that are answers by themselves; the rest as the round has counted it."""

        def sums(name: str, replies: Sequence[Completion]) -> tuple[int, int]:
            tokens = [getattr(reply.usage, name) for reply in replies]
            return sum(tokens), sum(number * number for number in tokens)

        ins, outs = (sums(name, first) for name in ("tokens_in", "tokens_out"))
        answer_ins, answer_outs = (sums(name, answers) for name in ("tokens_in", "tokens_out"))
        return cls(
            len(first),
            len(answers),
            in_first=ins[0],
            in_first_squares=ins[1],
            in_answers=answer_ins[0],
            in_answers_squares=answer_ins[1],
            out_first=outs[0],
            out_first_squares=outs[1],
            out_answers=answer_outs[0],
            out_answers_squares=answer_outs[1],
            **counts,
        )

    @property
    def requests(self) -> int:
        return self.seats + self.answers

    def __add__(self, other: RoundStats) -> RoundStats:
        if not self.seats:
            return other
        added = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        }
        return RoundStats(**added | {"pool": self.pool})

    def to_row(self) -> dict[str, Any]:
        """As a JSON row, without what differs from run to run: time, and what was lost."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_THE_DAY}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Raises ValueError for a figure that is none."""
        known = {field.name for field in fields(cls)} - set(_OF_THE_DAY)
        return cls(**{name: whole_number(value) for name, value in row.items() if name in known})


_OF_THE_DAY = ("attempts", "lost", "timed", "seconds")
