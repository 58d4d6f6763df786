"""style: react - rows answered by thinking, calculating and reading what came out, as conversations that a model can learn the
form from.

After ReAct (Yao et al. 2022). The one tool is the calculator: what it finds depends on what it is asked alone, so stored replies
make the same rows again. A row holds the form as its system text, the task as a question, the teacher's steps as learned
answers, and each observation as a user's message, which no loss sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.example import Message
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import output_fault
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, fault_of, unread
from alpaca_pipe.generate.prior import SCRIPTED_TASK_LIST, TASK_LIST, LogNormal, Prior
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding
from alpaca_pipe.react.steps import STOP, observed, read_step, system_text
from alpaca_pipe.react.tools import Tool, tools_named

_MOST = 6  # replies of one row; a task that needs more is dropped, and says so


@dataclass(frozen=True)
class React(Plain):
    max_tokens: int  # of each step
    temperature: float | None
    takes: frozenset[str]
    tools: tuple[Tool, ...]
    name: ClassVar[str] = "react"
    says: ClassVar[str] = "rows answered by thinking and calculating, step by step"
    # Guesses, measured nowhere yet.
    prior: ClassVar[Prior] = replace(
        TASK_LIST,
        out=LogNormal(60, 0.5),
        out_answer=LogNormal(60, 0.5),
        hazard=LogNormal(1e-4, 0.5),
        pieces=LogNormal(1, 0.01),
    )
    scripted_prior: ClassVar[Prior] = replace(
        SCRIPTED_TASK_LIST,
        out=LogNormal(16, 0.15),
        out_answer=LogNormal(16, 0.15),
        hazard=LogNormal(1e-4, 0.1),
        pieces=LogNormal(1, 0.01),
    )
    keys: ClassVar[tuple[str, ...]] = ("rows", "per_source", "times")
    defaults: ClassVar[Mapping[str, Any]] = {"times": 1}
    follows: ClassVar[int] = _MOST - 1
    many_turns: ClassVar[bool] = True
    seeded: ClassVar[bool] = False
    grounded: ClassVar[bool] = True
    novel: ClassVar[bool] = False  # its instructions are those of the rows

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        temperature = config.temperature_for(takes)
        return cls(config.max_tokens, temperature, takes, tools_named(["calculator"]))

    def request_for(self, seat: Seat) -> Request:
        assert seat.ground
        return self._request([Message("user", f"Question: {seat.ground.text}")])

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        assert seat.ground and seat.ground.example
        row = seat.ground.example
        asked = (Message("user", f"Question: {seat.ground.text}"),)
        draft = Draft(row.instruction, row.input, None, system_text(self.tools), turns=asked)
        return [self._with(draft, reply)]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return output_fault(draft)

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        return None if draft.output is not None else self._request(draft.turns)

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        return [self._with(draft, reply)]

    def _request(self, said: tuple[Message, ...] | list[Message]) -> Request:
        turns = [PromptMessage("system", system_text(self.tools))]
        turns += [
            PromptMessage("assistant" if one.role == "assistant" else "user", one.text)
            for one in said
        ]
        always = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return Request(tuple(turns), decoding(self.takes, always, stop=list(STOP)))

    def _with(self, draft: Draft, reply: Completion) -> Piece:
        """The draft with one step more: the answer, or what the calculator found."""
        if fault := fault_of(reply):
            return fault
        step = read_step(reply.text)
        turns = (*draft.turns, Message("assistant", step.text))
        if step.answer is not None:
            return replace(draft, output=step.answer, turns=turns)
        if not step.tool:
            return unread(
                reply.text, "not_in_form", "the reply holds neither an action nor an answer"
            )
        if len(turns) // 2 >= _MOST:
            return unread(reply.text, "no_answer", f"no answer came within {_MOST} steps")
        found = Message("user", observed(step, self.tools))
        return replace(draft, turns=(*turns, found))
