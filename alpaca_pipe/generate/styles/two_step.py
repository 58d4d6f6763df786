"""style: two-step - for small models: first an instruction about a topic, then, if it is new, its answer by chat.

A model of 135M parameters loses itself in JSON and in lists; in a dialogue that shows how it goes, it writes whole
sentences. Its tasks have no input: what it made up for one was seldom to the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.generate.novelty import unsound
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, read_answer, read_line
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.styles.alpaca import works_in
from alpaca_pipe.generate.styles.base import Plain, Seat, decoding

_INSTRUCTION_TOKENS = 40
_ANSWER_TEMPERATURE = 0.4  # an answer should be likely, an instruction new
_TOP_P = 0.95
_FREQUENCY_PENALTY = 0.5  # without it, half of SmolLM2-135M's answers run in circles


@dataclass(frozen=True)
class TwoStep(Plain):
    max_tokens: int  # of the answer
    temperature: float | None  # of the instruction
    takes: frozenset[str]
    domain: str = ""
    name: ClassVar[str] = "two-step"
    follows: ClassVar[int] = 1
    one_prefix: ClassVar[bool] = (
        True  # llama.cpp does not read again what it has just read: 18 % less work
    )
    shows: ClassVar[str] = " (those with a topic and without an input)"

    @property
    def topics(self) -> int:
        return 1

    def tasks(self, shown: int) -> int:
        return 1

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        return [seed for seed in seeds if seed.topic and not seed.example.input]

    def request_for(self, seat: Seat) -> Request:
        turns = [
            ("system", works_in("You write short, clear tasks for a language model.", self.domain))
        ]
        for seed in seat.shown:
            turns += [("user", _about(seed.topic)), ("assistant", seed.example.instruction)]
        turns.append(("user", _about(seat.topics[0])))
        return _request(
            turns,
            decoding(
                self.takes,
                {"max_tokens": _INSTRUCTION_TOKENS, "temperature": self.temperature},
                top_p=_TOP_P,
            ),
        )

    def read(self, seat: Seat, reply: Completion) -> list[Piece]:
        return [read_line(reply)]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return unsound(draft)

    def follow(self, seat: Seat, draft: Draft) -> Request | None:
        if draft.output is not None:
            return None
        turns = [("system", "Answer correctly and briefly.")]
        for seed in seat.shown:
            turns += [("user", seed.example.instruction), ("assistant", seed.example.output)]
        turns.append(("user", draft.instruction))
        return _request(
            turns,
            decoding(
                self.takes,
                {"max_tokens": self.max_tokens},
                temperature=_ANSWER_TEMPERATURE,
                top_p=_TOP_P,
                frequency_penalty=_FREQUENCY_PENALTY,
            ),
        )

    def read_answer(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        return [read_answer(draft, reply)]


def _about(topic: str) -> str:
    return f"Write a task about {topic}."


def _request(turns: Sequence[tuple[str, str]], fields: dict[str, object]) -> Request:
    return Request(tuple(PromptMessage(role, text) for role, text in turns), fields)  # type: ignore[arg-type]
