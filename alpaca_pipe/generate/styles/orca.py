"""style: orca - explanation traces: tasks that exist are answered anew, step by step, under a system prompt drawn for each.

After Orca (Mukherjee et al. 2023, sec. 3.1): the system prompt says how to explain, and stays in the row. The prompts are
our own. What the row's first answer was is not shown: the teacher is to find its own way.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import output_fault
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, fault_of
from alpaca_pipe.generate.prior import SCRIPTED_TASK_LIST, TASK_LIST, LogNormal, Prior
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding

if TYPE_CHECKING:
    from alpaca_pipe.teachers.config import TeacherTable

SYSTEMS = (
    "Think the task through step by step before you answer, and show the steps. End with the answer on a line of its own.",
    "You are a patient teacher. Explain how you get to the answer so that a beginner could do the next task alone.",
    "First say in your own words what is asked. Then work towards the answer one step at a time, with a reason for each.",
    "Explain as you would to a curious ten-year-old: short sentences, everyday words, an example where it helps.",
    "You are careful. Write down what is given, what follows from it, and only then the answer. Check it at the end.",
    "Give the answer first, in one sentence. Then justify it point by point, so that a reader can check each point.",
    "Break the task into smaller parts, solve each of them, and put the results together.",
    "Name the rule, fact or definition that the task turns on, show how it applies here, and conclude.",
    "Consider the plausible answers or approaches one after the other, say why each does or does not hold, and choose.",
    "You are an expert who writes for colleagues: exact and complete, every claim with its reason, no padding.",
    "Answer in detail. Wherever you make a choice or an assumption, say that you do, and why.",
    "Reason aloud, the way you would at a blackboard: one thought a line, each following from the ones before.",
    "Explain what a common mistake in this task would be, and then how it is done right, step by step.",
    "You help somebody who has to pass this on to others. Give the answer, and the reasoning they will be asked for.",
)
# Later ones, drawn beside those, so that a row that asked under one of the others asks the same again.
ADDED = (
    "Say what you know for certain and what you only suppose, step by step; then answer, and say how sure you are.",
    "Solve the task in two ways, if there are two, and say whether they agree. Else solve it and check the result backwards.",
)

# Of the embedded model, 2026-11-30: 81 tokens a reply at its own temperature, 137 at none; of 40 replies two were cut off at 512 and 640.
SMALL = replace(
    TASK_LIST,
    out=LogNormal(105, 0.3),
    out_spread=0.8,
    hazard=LogNormal(1e-4, 0.5),
    pieces=LogNormal(1, 0.01),
    readable=(4.0, 0.8),
    lost=0.0,
)
_SHARE = len(ADDED) / (len(SYSTEMS) + len(ADDED))  # each of the sixteen is as likely


@dataclass(frozen=True)
class Orca(Plain):
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    name: ClassVar[str] = "orca"
    says: ClassVar[str] = "rows answered anew, step by step"
    # Guesses, but for SMALL. Rows that exist are told apart already, so what is made of them is seldom near another.
    prior: ClassVar[Prior] = replace(
        TASK_LIST, out=LogNormal(300, 0.5), hazard=LogNormal(1e-4, 0.5), pieces=LogNormal(1, 0.01)
    )
    scripted_prior: ClassVar[Prior] = replace(
        SCRIPTED_TASK_LIST,
        out=LogNormal(36, 0.15),
        hazard=LogNormal(1e-4, 0.1),
        pieces=LogNormal(1, 0.01),
    )
    keys: ClassVar[tuple[str, ...]] = ("rows", "per_source", "times")
    defaults: ClassVar[Mapping[str, Any]] = {"max_tokens": 2048, "times": 1}
    marks: ClassVar[Mapping[str, int]] = {"systems": 2}  # sixteen; there were fourteen
    seeded: ClassVar[bool] = False
    grounded: ClassVar[bool] = True
    novel: ClassVar[bool] = False  # its instructions are those of the rows

    @classmethod
    def prior_of(cls, teacher: TeacherTable) -> Prior:
        small = teacher.kind == "local_server" and teacher.called.startswith("smollm2-135m")
        return SMALL if small else super().prior_of(teacher)

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(config.max_tokens, config.temperature_for(takes), takes)

    def request_for(self, seat: Seat) -> Request:
        assert seat.ground
        return Request(
            (PromptMessage("system", _system(seat)), PromptMessage("user", seat.ground.text)),
            decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature}),
        )

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        assert seat.ground and seat.ground.example
        row = seat.ground.example
        return [
            fault_of(reply) or Draft(row.instruction, row.input, reply.text.strip(), _system(seat))
        ]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return output_fault(draft)


def _system(seat: Seat) -> str:
    chance = random.Random(seat.draw)
    usual = chance.choice(SYSTEMS)
    return chance.choice(ADDED) if chance.random() < _SHARE else usual
