"""style: two-step - for small models: first an instruction about a topic, then, if it is new, its answer by chat.

A model of 135M parameters loses itself in JSON and in lists; in a dialogue that shows how it goes, it writes whole
sentences. Its tasks have no input: what it made up for one was seldom to the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.parsing.reply import Draft, Piece, read_answer, read_line
from alpaca_pipe.generate.prior import ONE_BY_ONE, SCRIPTED_ONE_BY_ONE, LogNormal, Prior
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.styles.alpaca import works_in
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding
from alpaca_pipe.teachers.config import TeacherTable

_INSTRUCTION_TOKENS = 40
_ANSWER_TEMPERATURE = 0.4  # an answer should be likely, an instruction new
_TOP_P = 0.95
_FREQUENCY_PENALTY = 0.5  # without it, half of SmolLM2-135M's answers run in circles

# Measured: the embedded SmolLM2-135M on 2 cores, the quickstart's prompts (2026-11: three runs, 320 seats). The spreads are
# for other seeds, counts and limits.
SMALL = Prior(
    letters=LogNormal(4.0, 0.06),
    out=LogNormal(13, 0.15),
    out_answer=LogNormal(36, 0.15),
    out_spread=0.45,
    pieces=LogNormal(1, 0.01),
    readable=(3.8, 0.6),
    finished=(2.7, 0.7),
    hazard=LogNormal(0.32, 0.7),
    bend=LogNormal(0.45, 0.3),
    lost=0.0,
)


@dataclass(frozen=True)
class TwoStep(Plain):
    max_tokens: int  # of the answer
    temperature: float | None  # of the instruction
    takes: frozenset[str]
    domain: str = ""
    name: ClassVar[str] = "two-step"
    says: ClassVar[str] = "an instruction, then its answer, for small models"
    prior: ClassVar[Prior] = ONE_BY_ONE
    scripted_prior: ClassVar[Prior] = SCRIPTED_ONE_BY_ONE
    keys: ClassVar[tuple[str, ...]] = ("domain",)
    follows: ClassVar[int] = 1
    one_prefix: ClassVar[bool] = (
        True  # llama.cpp does not read again what it has just read: 18 % less work
    )
    shows: ClassVar[str] = " (those with a topic and without an input)"

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(config.max_tokens, config.temperature_for(takes), takes, config.domain or "")

    @classmethod
    def prior_of(cls, teacher: TeacherTable) -> Prior:
        small = teacher.kind == "local_server" and teacher.called.startswith("smollm2-135m")
        return SMALL if small else super().prior_of(teacher)

    @property
    def topics(self) -> int:
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

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        return [read_line(reply)]

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
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

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        return [read_answer(draft, reply)]


def _about(topic: str) -> str:
    return f"Write a task about {topic}."


def _request(turns: Sequence[tuple[str, str]], fields: dict[str, object]) -> Request:
    return Request(tuple(PromptMessage(role, text) for role, text in turns), fields)  # type: ignore[arg-type]
