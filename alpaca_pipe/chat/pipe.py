"""Instructions line by line from a pipe, answers out: for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.chat.inference import ChatAnswer, ChatModel, ChatSettings, Say, asked
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.screen import json_text


@dataclass
class Piped:
    """Answers to `write`, a line of JSON each or as plain text with an empty line between. about: goes into every JSON line."""

    tuned: ChatModel
    base: ChatModel | None
    how: ChatSettings
    as_json: bool
    about: dict[str, Any]
    write: Say
    _refused: list[str] = field(default_factory=list)
    _count: int = 0

    def lines(self, lines: Iterable[str], input: str, system: str) -> None:
        """Each line that is not empty is an instruction, or a JSON object with `instruction` and, if you like, `input`, or with the
        `messages` of a conversation that ends in a question.
        Raises UserError at the end where some could not be answered."""
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    self.one(_read(line.strip(), input, system))
                except UserError as error:
                    self._refused.append(f"line {number}: {error}")
                    if self.as_json:
                        self.write(json_text({"line": number, "error": str(error)}) + "\n")
        if self._refused:
            raise UserError(
                "\n".join(self._refused), "the other lines were answered" if self._count else ""
            )

    def one(self, example: Example) -> None:
        answer = self._answer(self.tuned, example)
        beside = self._answer(self.base, example) if self.base else None
        if self.as_json:
            row = row_of(example, answer, self.about)
            if beside:
                row["base"] = {"output": beside.text, "end": beside.end}
            self.write(json_text(row) + "\n")
        else:
            parts = [answer] if beside is None else [answer, beside]
            texts = [f"{part.text}{f' {part.note}' if part.note else ''}" for part in parts]
            between = "\n" if self._count else ""
            self.write(
                between
                + (f"{texts[0]}\n" if beside is None else f"tuned: {texts[0]}\nbase:  {texts[1]}\n")
            )
        self._count += 1

    def _answer(self, speaker: ChatModel, example: Example) -> ChatAnswer:
        answer = speaker.answer(example, self.how)
        if answer.end == "stopped":
            raise Stopped
        return answer


def row_of(example: Example, answer: ChatAnswer, about: dict[str, Any]) -> dict[str, Any]:
    """A question and its answer as plain JSON; messages: what was said before it."""
    row: dict[str, Any] = {"instruction": example.instruction, "input": example.input}
    if example.messages:
        *before, question, _ = example.messages
        row = {
            "messages": [one.to_row() for one in before],
            "instruction": question.text,
            "input": "",
        }
    if example.system:
        row["system"] = example.system
    return (
        row
        | {
            "output": answer.text,
            "end": answer.end,
            "tokens": answer.tokens,
            "seconds": round(answer.seconds, 3),
        }
        | about
    )


def _read(line: str, input: str, system: str) -> Example:
    if not line.startswith("{"):
        return asked(line, input, system)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return asked(line, input, system)
    if "messages" in row:
        return _in_a_conversation(row["messages"], str(row.get("system") or system))
    if not isinstance(row.get("instruction"), str) or not row["instruction"].strip():
        raise UserError(
            "this JSON object has no 'instruction'",
            'write it like {"instruction": "...", "input": "..."}',
        )
    return asked(
        row["instruction"], str(row.get("input") or input), str(row.get("system") or system)
    )


def _in_a_conversation(messages: Any, system: str) -> Example:
    try:
        said = [Message.from_row(one) for one in messages]
        if not said or said[-1].role == "assistant":
            raise ValueError("it does not end in a question")
        return Example.of_messages([*said, Message("assistant", "")], Origin("imported"), system)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"these 'messages' cannot be answered: {error}",
            'write them like [{"role": "user", "content": "..."}], the last one a user\'s',
        ) from None
