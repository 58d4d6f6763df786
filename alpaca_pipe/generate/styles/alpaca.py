"""style: alpaca - a chat model writes several tasks at once, as JSON; the schema is enforced where the teacher can.

Each task of a prompt has its kind and its topic. The kinds are drawn, those that the rows so far lack more often (coverage.py).
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.parsing.reply import Piece, read_tasks
from alpaca_pipe.generate.prior import SCRIPTED_TASK_LIST, TASK_LIST, Prior
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding

_SYSTEM = "You write tasks that a language model is trained on. It reads and answers in text only."

_WANTED = """Write {tasks} new tasks in the same form:
{asked}

- Let the instructions differ in their verbs and in their form; some are questions, some are orders.{worn}
- An instruction has one or two sentences and can be followed without pictures, files or the internet.
- The input is the text or the data that the instruction works on: concrete, at most 100 words, or "" if none is needed.
- The output is the correct and complete answer, at most 100 words.

Answer with the JSON object alone."""

_ASKED = {
    "code": "reading or writing code",
    "classification": "classification into named labels",
    "extraction": "finding something in a given text",
    "rewriting": "rewriting, shortening or translating a given text",
    "reasoning": "calculation or reasoning",
    "explanation": "an explanation or a comparison",
    "ideas": "a list of ideas, examples or suggestions",
    "writing": "writing something new",
    "question": "a question of fact",
}


@dataclass(frozen=True)
class Alpaca(Plain):
    wanted: int  # tasks in a reply
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    domain: str = ""
    name: ClassVar[str] = "alpaca"
    says: ClassVar[str] = "several tasks a request, as JSON, of the kinds that the rows so far lack"
    prior: ClassVar[Prior] = TASK_LIST
    scripted_prior: ClassVar[Prior] = SCRIPTED_TASK_LIST
    keys: ClassVar[tuple[str, ...]] = ("domain", "tasks")
    steered: ClassVar[bool] = True

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(
            config.tasks,
            config.max_tokens,
            config.temperature_for(takes),
            takes,
            config.domain or "",
        )

    @property
    def topics(self) -> int:
        return self.wanted

    def tasks(self, shown: int) -> int:
        return self.wanted

    def request_for(self, seat: Seat) -> Request:
        shown = {"tasks": [task_row(seed) for seed in seat.shown]}
        asked = (
            f"{number}. {_ASKED[kind]}, about {topic}"
            for number, (kind, topic) in enumerate(zip(seat.lacks, seat.topics, strict=True), 1)
        )
        worn = f" None of them begins with: {', '.join(seat.worn)}." if seat.worn else ""
        wanted = _WANTED.format(tasks=self.wanted, asked="\n".join(asked), worn=worn)
        text = f"These are tasks with their answers:\n\n{json.dumps(shown, ensure_ascii=False, indent=1)}\n\n{wanted}"
        system = works_in(_SYSTEM, self.domain)
        return task_request(system, text, self.max_tokens, self.temperature, self.takes)

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        return read_tasks(reply)


def task_request(
    system: str, text: str, max_tokens: int, temperature: float | None, takes: frozenset[str]
) -> Request:
    """Asks for a list of tasks, by its schema where the teacher takes one."""
    always = {"max_tokens": max_tokens, "temperature": temperature}
    return Request(
        (PromptMessage("system", system), PromptMessage("user", text)),
        decoding(takes, always, response_format=task_list()),
    )


def works_in(system: str, domain: str) -> str:
    """A system text with what the model is for, where that is told."""
    return (
        f"{system} It will work in this domain: {domain}. All tasks belong to it."
        if domain
        else system
    )


def task_row(seed: Seed) -> dict[str, str]:
    return {
        "instruction": seed.example.instruction,
        "input": seed.example.input,
        "output": seed.example.output,
    }


def task_list() -> dict[str, Any]:
    """As OpenAI and llama.cpp take it. Their strict mode knows no least number of items."""
    names = ["instruction", "input", "output"]
    task = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    whole = {
        "type": "object",
        "properties": {"tasks": {"type": "array", "items": task}},
        "required": ["tasks"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "tasks", "strict": True, "schema": whole},
    }
