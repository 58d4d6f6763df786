"""style: constitutional - an answer, its critique under a principle, and the answer that is written after it: three stored
requests a row.

After Constitutional AI (Bai et al. 2022, sec. 3.1), with a principle drawn for each row. The row's output is the revision;
draft, critique and principle stand in its origin, so draft and revision also are a pair for preference training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import output_fault
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, fault_of, read_answer
from alpaca_pipe.generate.prior import SCRIPTED_TASK_LIST, TASK_LIST, LogNormal, Prior
from alpaca_pipe.generate.sources.principles import OURS, Principle, drawn, read_principles
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding


@dataclass(frozen=True)
class Constitutional(Plain):
    max_tokens: int  # of each of the three replies
    temperature: (
        float | None
    )  # of the first answer; critique and revision are asked for as the teacher's default has it
    takes: frozenset[str]
    principles: tuple[Principle, ...] = OURS
    name: ClassVar[str] = "constitutional"
    says: ClassVar[str] = "an answer, its critique, the better answer"
    # Guesses, measured nowhere yet.
    prior: ClassVar[Prior] = replace(
        TASK_LIST,
        out=LogNormal(220, 0.5),
        out_answer=LogNormal(180, 0.5),
        hazard=LogNormal(1e-4, 0.5),
        pieces=LogNormal(1, 0.01),
    )
    scripted_prior: ClassVar[Prior] = replace(
        SCRIPTED_TASK_LIST,
        out=LogNormal(36, 0.15),
        out_answer=LogNormal(36, 0.15),
        hazard=LogNormal(1e-4, 0.1),
        pieces=LogNormal(1, 0.01),
    )
    keys: ClassVar[tuple[str, ...]] = ("rows", "per_source", "times", "principles")
    defaults: ClassVar[Mapping[str, Any]] = {"times": 1}
    follows: ClassVar[int] = 2
    seeded: ClassVar[bool] = False
    grounded: ClassVar[bool] = True
    novel: ClassVar[bool] = False  # its instructions are those of the rows

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        own = read_principles(config.principles) if config.principles else OURS
        return cls(config.max_tokens, config.temperature_for(takes), takes, own)

    def request_for(self, seat: Seat) -> Request:
        return Request(
            tuple(_asked(seat)),
            decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature}),
        )

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        assert seat.ground and seat.ground.example
        row, principle = seat.ground.example, drawn(self.principles, seat.draw)
        said = {"draft": reply.text.strip(), "principle": principle.name}
        return [fault_of(reply) or Draft(row.instruction, row.input, None, row.system, said)]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return output_fault(draft)

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        if draft.output is not None:
            return None
        principle = drawn(self.principles, seat.draw)
        turns = [
            *_asked(seat),
            PromptMessage("assistant", str(draft.details.get("draft", ""))),
            PromptMessage("user", principle.critique),
        ]
        if critique := draft.details.get("critique"):
            turns += [
                PromptMessage("assistant", str(critique)),
                PromptMessage("user", principle.revision),
            ]
        return Request(tuple(turns), decoding(self.takes, {"max_tokens": self.max_tokens}))

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        if "critique" in draft.details:
            return [read_answer(draft, reply)]
        said = {**draft.details, "critique": reply.text.strip()}
        return [fault_of(reply) or replace(draft, details=said)]


def _asked(seat: Seat) -> list[PromptMessage]:
    """The row's task as it stands, under its own system text where it has one."""
    assert seat.ground and seat.ground.example
    system = seat.ground.example.system
    first = [PromptMessage("system", system)] if system else []
    return [*first, PromptMessage("user", seat.ground.text)]
