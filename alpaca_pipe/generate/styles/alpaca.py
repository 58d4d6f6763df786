"""style: alpaca - a chat model writes several tasks at once, as JSON; the schema is enforced where the teacher can."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, Message, Request
from alpaca_pipe.generate.novelty import Ties, unsound
from alpaca_pipe.generate.reply import Draft, Objection, Piece, read_answer, read_tasks
from alpaca_pipe.generate.seeds import Seed
from alpaca_pipe.generate.style import Seat, decoding

_SYSTEM = "You write tasks that a language model is trained on. It reads and answers in text only."

_WANTED = """Write {tasks} new tasks in the same form, one about each of: {topics}.

- Let the tasks differ in kind: questions, classification, rewriting, extraction, explanation, writing, reasoning, code.
- Let the instructions differ in their verbs and in their form; some are questions, some are orders.
- An instruction has one or two sentences and can be followed without pictures, files or the internet.
- The input is the text or the data that the instruction works on: concrete, at most 100 words, or "" if none is needed.
- The output is the correct and complete answer, at most 100 words.

Answer with the JSON object alone."""


@dataclass(frozen=True)
class Alpaca:
    tasks: int
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    name: ClassVar[str] = "alpaca"
    requests: ClassVar[int] = 1
    ties: ClassVar[Ties] = "exact"
    one_prefix: ClassVar[bool] = False
    shows: ClassVar[str] = ""

    @property
    def topics(self) -> int:
        return self.tasks

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        return list(seeds)

    def ask(self, seat: Seat) -> Request:
        shown = {"tasks": [_row(seed) for seed in seat.shown]}
        wanted = _WANTED.format(tasks=self.tasks, topics=", ".join(seat.topics))
        text = f"These are tasks with their answers:\n\n{json.dumps(shown, ensure_ascii=False, indent=1)}\n\n{wanted}"
        return Request((Message("system", _SYSTEM), Message("user", text)),
                       decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature},
                                response_format=_schema()))

    def read(self, seat: Seat, reply: Completion) -> list[Piece]:
        return read_tasks(reply)

    def objection(self, draft: Draft) -> Objection | None:
        return unsound(draft)

    def ask_answer(self, seat: Seat, draft: Draft) -> Request:
        raise AssertionError("every draft of this style has its output")

    def read_answer(self, draft: Draft, reply: Completion) -> Piece:
        return read_answer(draft, reply)


def _row(seed: Seed) -> dict[str, str]:
    return {"instruction": seed.example.instruction, "input": seed.example.input, "output": seed.example.output}


def _schema() -> dict[str, Any]:
    """As OpenAI and llama.cpp take it. Their strict mode knows no least number of items."""
    names = ["instruction", "input", "output"]
    task = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names,
            "additionalProperties": False}
    whole = {"type": "object", "properties": {"tasks": {"type": "array", "items": task}}, "required": ["tasks"],
             "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "tasks", "strict": True, "schema": whole}}
