"""A row of preference data: a prompt with a better and a worse answer, or with one answer and whether it is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alpaca_pipe.core.example import Example, Message, Origin, conversation_id, example_id


class NothingPreferred(ValueError):
    """Both sides of a pair say the same."""


@dataclass(frozen=True)
class Preference:
    """A prompt and `chosen` over `rejected`, or one `answer` with its `label`. Make it with `pair` or `labelled`.

    An answer is the messages that follow the prompt: one of an assistant, or several with tools and users between.
    Answers inside the prompt are context for the preference; tuned on, the row learns them too, but for those that are marked.
    """

    id: str
    prompt: tuple[Message, ...]
    origin: Origin
    system: str = ""
    input: str = (
        ""  # stands below the prompt's one user text, for templates that have a place for it
    )
    chosen: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    answer: tuple[Message, ...] = ()
    label: bool | None = None  # of `answer`: True is good

    @staticmethod
    def pair(
        prompt: Sequence[Message],
        chosen: Sequence[Message],
        rejected: Sequence[Message],
        origin: Origin,
        system: str = "",
        input: str = "",
    ) -> Preference:
        """A first message of role system is the system text. Raises ValueError, in a sentence, where a side has no answer or
        the two are the same."""
        asked, system = _context(prompt, system)
        _check(chosen, "the chosen side holds")
        _check(rejected, "the rejected side holds")
        if tuple(chosen) == tuple(rejected):
            raise NothingPreferred("the chosen and the rejected answer are the same")
        name = _id(system, input, "", asked, chosen, rejected)
        return Preference(
            name, asked, origin, system, input, chosen=tuple(chosen), rejected=tuple(rejected)
        )

    @staticmethod
    def labelled(
        prompt: Sequence[Message],
        answer: Sequence[Message],
        label: bool,
        origin: Origin,
        system: str = "",
        input: str = "",
    ) -> Preference:
        """As `pair`, with one answer. Raises ValueError, in a sentence, where there is none."""
        asked, system = _context(prompt, system)
        _check(answer, "it holds")
        name = _id(system, input, "good" if label else "bad", asked, answer)
        return Preference(name, asked, origin, system, input, answer=tuple(answer), label=label)

    def example(self) -> Example | None:
        """The row to tune on: the prompt with the chosen answer, or with the answer where it is good; None where nothing good
        is there. Earlier answers of the prompt are learned as they are marked."""
        good = self.chosen or (self.answer if self.label else ())
        if not good:
            return None
        if (
            len(self.prompt) == 1
            and len(good) == 1
            and (self.prompt[0].is_plain and good[0].is_plain)
        ):
            asked, answer = self.prompt[0].text, good[0].text
            return Example.of(asked, self.input, answer, self.origin, self.system)
        prompt = self.prompt
        if self.input:
            prompt = (*prompt[:-1], replace(prompt[-1], text=f"{prompt[-1].text}\n\n{self.input}"))
        return Example.of_messages((*prompt, *good), self.origin, self.system)

    def to_row(self) -> dict[str, Any]:
        """As a JSON row; empty optional parts are left out."""
        row: dict[str, Any] = {"id": self.id}
        if self.system:
            row["system"] = self.system
        row["prompt"] = [one.to_row() for one in self.prompt]
        if self.input:
            row["input"] = self.input
        for key in ("chosen", "rejected", "answer"):
            if messages := getattr(self, key):
                row[key] = [one.to_row() for one in messages]
        if self.label is not None:
            row["label"] = self.label
        return row | {"origin": self.origin.to_row()}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> Preference:
        prompt, chosen, rejected, answer = (
            tuple(map(Message.from_row, row.get(key, ())))
            for key in ("prompt", "chosen", "rejected", "answer")
        )
        origin, system, input = (
            Origin.from_row(row["origin"]),
            row.get("system", ""),
            row.get("input", ""),
        )
        return Preference(
            row["id"], prompt, origin, system, input, chosen, rejected, answer, row.get("label")
        )


def _context(prompt: Sequence[Message], system: str) -> tuple[tuple[Message, ...], str]:
    """The prompt and the system text. Raises ValueError."""
    if prompt and prompt[0].role == "system":
        own = prompt[0].text
        if system and own and own != system:
            raise ValueError("it has two system texts")
        prompt, system = prompt[1:], own or system
    if not any(one.role == "user" for one in prompt):
        raise ValueError("no message of the prompt is a user's")
    if prompt[-1].role == "assistant":
        raise ValueError("the prompt ends with an answer, not with a question")
    return tuple(prompt), system


def _check(answer: Sequence[Message], side: str) -> None:
    if not any(one.is_learned and (one.text or one.tool_calls) for one in answer):
        raise ValueError(f"{side} no answer")


def _id(system: str, input: str, label: str, *parts: Sequence[Message]) -> str:
    """`x1-` + 20 hex over all that the row says."""
    texts = [system, input, label, *(conversation_id("", part) for part in parts)]
    return "x1-" + example_id("preference", *texts).removeprefix("e1-")
