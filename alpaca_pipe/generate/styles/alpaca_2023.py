"""style: alpaca-2023 - Stanford's procedure of March 2023: its layout, sampling, decoding, stops, parser, filters, ties.

Read from tatsu-lab/stanford_alpaca@761dc5b. The wording of the requirements is ours. It asked text-davinci-003, which
was shut down on 2024-01-04; a chat model gets the same text as one message, and the stops are applied on our side too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.data import stanford_rules
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import Ties
from alpaca_pipe.generate.parsing.numbered_list import Bugs, read_numbered, until_stop
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection
from alpaca_pipe.generate.prior import SCRIPTED_TASK_LIST, TASK_LIST, LogNormal, Prior
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding

TASKS = 20  # asked for, those shown among them
# The reference's; the second and third also cut an answer that says "in 2020."
STOPS = ("\n20", "20.", "20.")
_STOPS_AT_HEADERS = ("\n20. Instruction:",)
_NO_END_OF_TEXT = {
    "50256": -100
}  # GPT-3's <|endoftext|>: the model shall go on until it is stopped

_HEADER = (
    "Please write {tasks} task instructions that differ from each other. A GPT model will be given these "
    "instructions, and we will judge how well it follows them.\n\nThe requirements:\n"
)
_REQUIREMENTS = (
    "Use a different verb in each instruction where you can, so that the instructions vary as much as possible.",
    "Vary the wording as well: some instructions should be questions, others orders.",
    "Vary the kinds of task: open generation, classification, editing, and others.",
    (
        "A GPT language model must be able to carry out the instruction. Do not ask it to show or play anything, to wake you "
        "at five or to set a reminder: it cannot act."
    ),
    "Write the instructions in English.",
    "An instruction has one or two sentences. An imperative sentence and a question are both fine.",
    (
        "Write a fitting input for each instruction. It should hold a concrete example, no mere placeholder, and enough "
        "substance to make the task challenging, in at most 100 words."
    ),
    (
        'Not every instruction needs an input. Where it asks for general knowledge, such as "what is the highest peak in the '
        'world", write "<noinput>" in the field of the input.'
    ),
    "The output is a fitting answer to the instruction and its input. Keep it below 100 words.",
)
_MISNUMBERED = (1, 2, 3, 2, 3, 4, 5, 6, 7)

# Models that spell with GPT-3's tokens; davinci-002 and babbage-002 of 2023 have those of GPT-4.
_GPT3 = re.compile(
    r"text-(davinci|curie|babbage|ada)-00\d|(davinci|curie|babbage|ada)(-instruct.*)?"
)
# A list of 16. Of text-davinci-003's replies nobody kept count; a stop string ends some of them early, and one list of words
# drops about a tenth of what comes.
_LIST = replace(
    TASK_LIST,
    out=LogNormal(95, 0.38),
    out_answer=LogNormal(95, 0.38),
    pieces=LogNormal(0.85, 0.2),
    readable=(1.8, 1.0),
)


@dataclass(frozen=True)
class Alpaca2023(Plain):
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    bugs: Bugs
    gpt3: bool  # the teacher spells with GPT-3's tokens
    name: ClassVar[str] = "alpaca-2023"
    says: ClassVar[str] = "as Stanford asked in 2023: a numbered list of tasks"
    prior: ClassVar[Prior] = _LIST
    scripted_prior: ClassVar[Prior] = replace(
        SCRIPTED_TASK_LIST, pieces=LogNormal(0.95, 0.08), readable=(2.0, 0.5)
    )
    keys: ClassVar[tuple[str, ...]] = ("bugs",)
    defaults: ClassVar[Mapping[str, Any]] = {"max_tokens": 3072, "words": "rouge"}
    ties: ClassVar[Ties] = "doubles"
    dialects: ClassVar[tuple[str, ...]] = ("chat", "completions")
    goes_on: ClassVar[bool] = True

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(
            config.max_tokens,
            config.temperature_for(takes),
            takes,
            config.bugs,
            _GPT3.fullmatch(teacher) is not None,
        )

    def tasks(self, shown: int) -> int:
        """The last number stops the reply."""
        return max(TASKS - 1 - shown, 1)

    @property
    def bias(self) -> dict[str, Any]:
        return {"logit_bias": _NO_END_OF_TEXT} if self.gpt3 else {}

    @property
    def stops(self) -> tuple[str, ...]:
        return STOPS if self.bugs.stop_at_20 else _STOPS_AT_HEADERS

    def request_for(self, seat: Seat) -> Request:
        fields: dict[str, Any] = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return Request(
            (PromptMessage("user", self._prompt(seat)),),
            decoding(self.takes, fields, top_p=1.0, stop=list(self.stops), **self.bias),
        )

    def _prompt(self, seat: Seat) -> str:
        numbers = zip(
            _MISNUMBERED if self.bugs.misnumbered else range(1, 10), _REQUIREMENTS, strict=True
        )
        text = _HEADER.format(tasks=TASKS) + "".join(
            f"{number}. {line}\n" for number, line in numbers
        )
        text += f"\nList of {TASKS} tasks:\n"
        for number, seed in enumerate(seat.shown, 1):
            instruction = re.sub(r"\s+", " ", seed.example.instruction).strip().rstrip(":")
            text += (
                f"###\n{number}. Instruction: {instruction}\n{number}. Input:\n{seed.example.input or '<noinput>'}\n"
                f"{number}. Output:\n{seed.example.output}\n"
            )
        return f"{text}###\n{len(seat.shown) + 1}. Instruction:"

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        first = len(seat.shown) + 1
        text, stopped = until_stop(_from_first_task(reply.text, first), self.stops)
        return read_numbered(
            replace(reply, text=text, finish="stop" if stopped else reply.finish), first, self.bugs
        )

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        """Stanford's rules look at the instruction alone."""
        found = stanford_rules.first_reason(draft.instruction)
        return Rejection(*found) if found else None


def _from_first_task(text: str, first: int) -> str:
    """A chat model repeats the header that a completion goes on after, sometimes behind a sentence of its own."""
    for found in re.finditer(rf"{first}\.\s+Instruction:", text):
        begin, end = found.span()
        while begin and (text[begin - 1] == "#" or text[begin - 1].isspace()):
            begin -= 1
        if not begin or "\n" in text[begin : end - len("Instruction:")].partition(f"{first}.")[0]:
            return text[end:]
    return text
