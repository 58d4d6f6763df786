"""style: alpaca - a chat model writes several tasks at once, as JSON; the schema is enforced where the teacher can.

Each task of a prompt has its kind and its topic. The kinds are drawn, those that the rows so far lack more often (balance.py).
A model of some hundred million parameters loses itself in lists, kinds and inputs, so it is asked as a dialogue
(`dialogue: true`): a topic, and its task as JSON; each seed that is shown is such a turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, Message, Request
from alpaca_pipe.generate.novelty import unsound
from alpaca_pipe.generate.reply import Draft, Objection, Piece, read_tasks
from alpaca_pipe.generate.seeds import Seed
from alpaca_pipe.generate.style import Plain, Seat, decoding

_SYSTEM = "You write tasks that a language model is trained on. It reads and answers in text only."

_WANTED = """Write {tasks} new tasks in the same form:
{asked}

- Let the instructions differ in their verbs and in their form; some are questions, some are orders.{worn}
- An instruction has one or two sentences and can be followed without pictures, files or the internet.
- The input is the text or the data that the instruction works on: concrete, at most 100 words, or "" if none is needed.
- The output is the correct and complete answer, at most 100 words.

Answer with the JSON object alone."""

_ONE = "You write short, clear tasks for a language model, each with its correct answer."
_ABOUT = "Write a task about {topic}."
_TOP_P = 0.95  # a small model's unlikeliest words are noise

_ASKED = {
    "code": "reading or writing code", "classification": "classification into named labels",
    "extraction": "finding something in a given text", "rewriting": "rewriting, shortening or translating a given text",
    "reasoning": "calculation or reasoning", "explanation": "an explanation or a comparison",
    "ideas": "a list of ideas, examples or suggestions", "writing": "writing something new",
    "question": "a question of fact"}


@dataclass(frozen=True)
class Alpaca(Plain):
    wanted: int  # tasks in a reply
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    dialogue: bool = False  # one task a request
    domain: str = ""
    name: ClassVar[str] = "alpaca"

    @property
    def steered(self) -> bool:
        return not self.dialogue

    @property
    def one_prefix(self) -> bool:
        return self.dialogue  # llama.cpp does not read again what it has just read

    @property
    def shows(self) -> str:
        return " as a dialogue (those with a topic and without an input)" if self.dialogue else ""

    @property
    def topics(self) -> int:
        return self.tasks(0)

    def tasks(self, shown: int) -> int:
        return 1 if self.dialogue else self.wanted

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        return [seed for seed in seeds if not self.dialogue or (seed.topic and not seed.example.input)]

    def ask(self, seat: Seat) -> Request:
        return self._one(seat) if self.dialogue else self._several(seat)

    def _one(self, seat: Seat) -> Request:
        turns = [Message("system", works_in(_ONE, self.domain))]
        for seed in seat.shown:
            row = {name: text for name, text in task_row(seed).items() if name in _OF_ONE}
            turns += [Message("user", _ABOUT.format(topic=seed.topic)), Message("assistant", json.dumps(row, ensure_ascii=False))]
        turns.append(Message("user", _ABOUT.format(topic=seat.topics[0])))
        return Request(tuple(turns), decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature},
                                              top_p=_TOP_P, response_format=_as_schema("task", _object(*_OF_ONE))))

    def _several(self, seat: Seat) -> Request:
        shown = {"tasks": [task_row(seed) for seed in seat.shown]}
        asked = (f"{number}. {_ASKED[kind]}, about {topic}" for number, (kind, topic)
                 in enumerate(zip(seat.lacks, seat.topics, strict=True), 1))
        worn = f" None of them begins with: {', '.join(seat.worn)}." if seat.worn else ""
        wanted = _WANTED.format(tasks=self.wanted, asked="\n".join(asked), worn=worn)
        text = f"These are tasks with their answers:\n\n{json.dumps(shown, ensure_ascii=False, indent=1)}\n\n{wanted}"
        return Request((Message("system", works_in(_SYSTEM, self.domain)), Message("user", text)),
                       decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature},
                                response_format=task_list()))

    def read(self, seat: Seat, reply: Completion) -> list[Piece]:
        return read_tasks(reply)

    def objection(self, seat: Seat, draft: Draft) -> Objection | None:
        return unsound(draft)


def works_in(system: str, domain: str) -> str:
    """A system text with what the model is for, where that is told."""
    return f"{system} It will work in this domain: {domain}. All tasks belong to it." if domain else system


def task_row(seed: Seed) -> dict[str, str]:
    return {"instruction": seed.example.instruction, "input": seed.example.input, "output": seed.example.output}


_OF_ONE = ("instruction", "output")


def task_list() -> dict[str, Any]:
    """As OpenAI and llama.cpp take it. Their strict mode knows no least number of items."""
    tasks = {"type": "array", "items": _object("instruction", "input", "output")}
    return _as_schema("tasks", {"type": "object", "properties": {"tasks": tasks}, "required": ["tasks"],
                                "additionalProperties": False})


def _object(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names),
            "additionalProperties": False}


def _as_schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
