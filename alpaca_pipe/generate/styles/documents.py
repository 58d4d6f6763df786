"""style: documents - each request shows a passage of the user's own files, and asks for tasks that it alone answers.

A row stands without its passage, so its instruction must not speak of one. What an answer says in numbers and names must
stand in the passage or in the task's own input: a teacher makes those up most easily, and they are the easiest to check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import unsound
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, read_tasks, unread
from alpaca_pipe.generate.prior import OF_PASSAGE, SCRIPTED_TASK_LIST, TASK_LIST, Prior
from alpaca_pipe.generate.sources.groundedness import ungrounded
from alpaca_pipe.generate.styles.alpaca import task_request, task_row, works_in
from alpaca_pipe.generate.styles.base import Plain, Seat, Style

_SYSTEM = (
    "You write tasks that a language model is trained on, out of the documents of the people who will use it. You "
    "add nothing to what the documents say."
)

_WANTED = """These tasks show the form and the tone that are wanted; what they are about does not matter here:

{shown}

This is a passage of {file}:

<passage>
{passage}
</passage>

Write {tasks} tasks that can be answered from this passage alone, or fewer where it does not hold as many:

- Each asks what somebody would ask who needs to know, and who has never seen the passage. Name what the task is about; do \
not speak of a passage, a text or a document.
- Let the instructions differ in their verbs and in their form; some are questions, some are orders. They have one or two \
sentences.
- The input is a short case or text that the instruction works on, or "" if none is needed.
- The output is the correct and complete answer, at most 100 words. It says what the passage says, with numbers and names \
exactly as they are written there, and nothing else.
- Where the passage holds nothing to ask about, answer {{"tasks": []}}.

Answer with the JSON object alone."""

_NOTHING = re.compile(
    r'\s*(?:```(?:json)?\s*)?(?:\{\s*(?:"tasks"\s*:\s*\[\s*\]\s*)?\}|\[\s*\])\s*(?:```)?\s*'
)
# In English only; where a task has an input, that may be meant.
SPEAKS_OF_IT = re.compile(
    r"\b(?:the|this|that|our) (?:(?:given|provided|above|following) )?(?:passage|excerpt)\b|"
    r"\b(?:according to|(?:mentioned|described|stated|given|provided|listed) in|(?:based|relying) on|from) "
    r"(?:the|this) (?:(?:given|provided|above) )?(?:text|document|article|context|section)\b|"
    r"\b(?:the|this) (?:(?:given|provided|above) (?:text|document|article|context)|(?:text|document|article|context) above)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Documents(Plain):
    wanted: int  # tasks of one passage, at most
    max_tokens: int
    temperature: float | None
    takes: frozenset[str]
    domain: str = ""
    name: ClassVar[str] = "documents"
    says: ClassVar[str] = "tasks that a passage of your own files answers"
    prior: ClassVar[Prior] = replace(TASK_LIST, ideas=OF_PASSAGE)
    scripted_prior: ClassVar[Prior] = replace(SCRIPTED_TASK_LIST, ideas=OF_PASSAGE)
    keys: ClassVar[tuple[str, ...]] = ("domain", "tasks", "documents", "passage", "times")
    needs: ClassVar[Mapping[str, str]] = {
        "documents": "style documents asks about your own files - name them: documents: [FOLDER]"
    }
    grounded: ClassVar[bool] = True

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(
            config.tasks,
            config.max_tokens,
            config.temperature_for(takes),
            takes,
            config.domain or "",
        )

    def tasks(self, shown: int) -> int:
        return self.wanted

    def request_for(self, seat: Seat) -> Request:
        assert seat.ground
        shown = json.dumps(
            {"tasks": [task_row(seed) for seed in seat.shown]}, ensure_ascii=False, indent=1
        )
        text = _WANTED.format(
            shown=shown,
            file=seat.ground.details.get("file", "a document"),
            passage=seat.ground.text,
            tasks=self.wanted,
        )
        system = works_in(_SYSTEM, self.domain)
        return task_request(system, text, self.max_tokens, self.temperature, self.takes)

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        if reply.finish == "stop" and _NOTHING.fullmatch(reply.text):
            return [
                unread(
                    reply.text,
                    "nothing_to_ask",
                    "the teacher found nothing to ask about in this passage",
                )
            ]
        return read_tasks(reply)

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        assert seat.ground
        if fault := unsound(draft):
            return fault
        if not draft.input and (found := SPEAKS_OF_IT.search(draft.instruction)):
            return Rejection(
                "speaks_of_passage",
                f"the instruction says '{found.group()}', which the row does not hold",
            )
        if word := ungrounded(draft.output or "", f"{seat.ground.text}\n\n{draft.input}"):
            return Rejection(
                "ungrounded",
                f"the output says '{word}', which neither the passage nor the task's input holds",
            )
        return None
