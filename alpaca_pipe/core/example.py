"""One row of instruction data, where it came from, and what is said of a row that was dropped.

The central row is a conversation: an optional system text, then messages, of which the learned answers are trained on.
One question and its answer is the simple case, held as instruction, input and output.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from alpaca_pipe.core.fast_dataclass import compact_dataclass
from alpaca_pipe.core.files import canonical

Role = Literal["user", "assistant", "tool", "system"]


@compact_dataclass(frozen=True)
class Origin:
    """Where a row came from. source: the request key (generated), or file#line (seed, imported)."""

    kind: Literal["seed", "generated", "imported"]
    source: str = ""
    parents: tuple[
        str, ...
    ] = ()  # ids of the rows it was made from (shown seeds, or the row before a repair)
    details: Mapping[str, Any] = field(
        default_factory=dict
    )  # place "round/seat/item", nearest, score, style ...

    def to_row(self) -> dict[str, Any]:
        """As JSON; empty optional parts are left out."""
        row: dict[str, Any] = {"kind": self.kind, "source": self.source}
        if self.parents:
            row["parents"] = list(self.parents)
        if self.details:
            row["details"] = dict(self.details)
        return row

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> Origin:
        return Origin(
            row["kind"],
            row.get("source", ""),
            tuple(row.get("parents", ())),
            row.get("details", {}),
        )


@compact_dataclass(frozen=True)
class Message:
    """One turn of a conversation. `learned` counts for an assistant's only: an answer that is not learned is context."""

    role: Role
    text: str
    learned: bool = True
    reasoning: str = ""  # what was thought before the answer
    tool_calls: tuple[Mapping[str, Any], ...] = ()  # as OpenAI writes them
    name: str = ""  # of the speaker, or of the tool that answers

    @property
    def is_learned(self) -> bool:
        return self.role == "assistant" and self.learned

    @property
    def is_plain(self) -> bool:
        """Nothing but a role and a text."""
        return not (self.reasoning or self.tool_calls or self.name)

    def to_row(self) -> dict[str, Any]:
        """As OpenAI writes a message; `learned` is there where an answer is not learned, empty parts are left out."""
        row: dict[str, Any] = {"role": self.role, "content": self.text}
        if self.role == "assistant" and not self.learned:
            row["learned"] = False
        if self.reasoning:
            row["reasoning"] = self.reasoning
        if self.tool_calls:
            row["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.name:
            row["name"] = self.name
        return row

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> Message:
        return Message(
            row["role"],
            row["content"],
            row.get("learned", True),
            row.get("reasoning", ""),
            tuple(row.get("tool_calls", ())),
            row.get("name", ""),
        )


def turn_name(number: int, message: Mapping[str, Any]) -> str:
    """How a message of a row (`Message.to_row`) is called before a person: `2 assistant (not learned)`."""
    learned = message["role"] != "assistant" or message.get("learned", True)
    return f"{number} {message['role']}{'' if learned else ' (not learned)'}"


@compact_dataclass(frozen=True)
class Example:
    """A conversation whose learned answers are the wanted output. Make it with `Example.of` or `Example.of_messages`.

    `messages` is empty for a single exchange: instruction, optional input, output. Else it is the whole conversation
    after the system text, and then `instruction` is the first user's text, `input` is empty, `output` the last learned
    answer that has a text: for code that looks at one text of a row.
    """

    id: str
    instruction: str
    input: str
    output: str
    origin: Origin
    system: str = ""
    messages: tuple[Message, ...] = ()

    @staticmethod
    def of(instruction: str, input: str, output: str, origin: Origin, system: str = "") -> Example:
        return Example(
            example_id(instruction, input, output, system),
            instruction,
            input,
            output,
            origin,
            system,
        )

    @staticmethod
    def of_messages(messages: Sequence[Message], origin: Origin, system: str = "") -> Example:
        """A conversation. One plain question and its learned answer become the simple case, so that equal rows have equal
        ids. A first message of role system is the system text. Raises ValueError, in a sentence, where no answer is learned
        or the roles cannot be."""
        if messages and messages[0].role == "system":
            own = messages[0].text
            if system and own and own != system:
                raise ValueError("it has two system texts")
            messages, system = messages[1:], own or system
        told = tuple(
            one if one.role == "assistant" or one.learned else replace(one, learned=True)
            for one in messages
        )
        _check_roles(told)
        if [one.role for one in told] == ["user", "assistant"] and all(
            one.is_plain for one in told
        ):
            return Example.of(told[0].text, "", told[1].text, origin, system)
        answers = [one.text for one in told if one.is_learned and one.text]
        return Example(
            conversation_id(system, told),
            next(one.text for one in told if one.role == "user"),
            "",
            answers[-1] if answers else "",
            origin,
            system,
            told,
        )

    def conversation(self) -> tuple[Message, ...]:
        """The messages after the system text. A single exchange's input stands below its instruction, a blank line
        between; a template that has a place for the input takes `input` itself."""
        if self.messages:
            return self.messages
        asked = f"{self.instruction}\n\n{self.input}" if self.input else self.instruction
        return Message("user", asked), Message("assistant", self.output)

    @property
    def asked(self) -> str:
        """All that users said: the instruction and its input, or every user's text, a line each."""
        if self.messages:
            return "\n".join(one.text for one in self.messages if one.role == "user")
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction

    @property
    def answered(self) -> str:
        """The output, or all learned answers, a line each."""
        if self.messages:
            return "\n".join(one.text for one in self.messages if one.is_learned and one.text)
        return self.output

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said, in order; the system text and reasoning aside."""
        if self.messages:
            return tuple(one.text for one in self.messages)
        return self.instruction, self.input, self.output

    def exchanges(self) -> Iterator[Exchange]:
        """Each answer with the question before it, as a row of one exchange: for code that looks at one question and one
        answer. An answer of tool calls alone has no text, and none here."""
        if not self.messages:
            yield Exchange(self, 1, True)
            return
        asked, results, number = "", list[str](), 0
        for one in self.messages:
            if one.role == "user":
                asked, results = one.text, []
            elif one.role == "tool":
                results.append(one.text)
            elif one.role == "assistant":
                number += 1
                if one.text or not one.tool_calls:
                    texts = asked, "\n".join(results), one.text
                    yield Exchange(
                        Example(self.id, *texts, self.origin, self.system), number, one.learned
                    )

    def to_row(self) -> dict[str, Any]:
        """As a JSON row; empty optional parts are left out."""
        row: dict[str, Any] = {
            "id": self.id,
            "instruction": self.instruction,
            "input": self.input,
            "output": self.output,
        }
        if self.system:
            row["system"] = self.system
        if self.messages:
            row["messages"] = [one.to_row() for one in self.messages]
        return row | {"origin": self.origin.to_row()}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> Example:
        return Example(
            row["id"],
            row["instruction"],
            row["input"],
            row["output"],
            Origin.from_row(row["origin"]),
            row.get("system", ""),
            tuple(map(Message.from_row, row.get("messages", ()))),
        )


class Exchange(NamedTuple):
    """One question and its answer out of a conversation, under the id of the whole row; a tool's results are its input."""

    example: Example
    number: int  # of the answer, from 1
    learned: bool


@compact_dataclass(frozen=True)
class Rejected:
    """Something that was dropped: a row or an unreadable piece of a reply, its rule and the reason in a sentence."""

    what: Example | str
    rule: str
    reason: str
    source: str = ""  # request key or file#line, where `what` is only text
    nearest: str = ""  # id of the row that it resembles
    kind: Literal["generated", "imported"] = "generated"  # of the origin, where `what` is only text

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"rule": self.rule, "reason": self.reason}
        if self.nearest:
            row["nearest"] = self.nearest
        if isinstance(self.what, Example):
            return row | self.what.to_row()
        return row | {"text": self.what, "origin": {"kind": self.kind, "source": self.source}}


def example_id(*texts: str) -> str:
    """`e1-` + 20 hex of sha256 over the NFC texts, each with its length in bytes before it."""
    parts: list[bytes] = []
    for text in texts:
        if not text:
            parts.append(_NO_TEXT)
            continue
        data = (text if text.isascii() else unicodedata.normalize("NFC", text)).encode()
        parts += (_EIGHT(len(data)), data)
    return f"e1-{sha256(b''.join(parts)).hexdigest()[:20]}"


_NO_TEXT, _EIGHT = bytes(8), struct.Struct(">Q").pack


def conversation_id(system: str, messages: Sequence[Message]) -> str:
    """`example_id` over all that is said. Never an exchange's id: that is over four texts, this over 2 + 6 a message."""
    texts = ["messages", system]
    for one in messages:
        learned = "learned" if one.is_learned else ""
        calls = canonical([dict(call) for call in one.tool_calls]) if one.tool_calls else ""
        texts += [one.role, one.text, learned, one.reasoning, calls, one.name]
    return example_id(*texts)


def _check_roles(messages: Sequence[Message]) -> None:
    """Raises ValueError: an answer answers something, a tool's result was called for, something is learned."""
    before: set[str] = set()
    for number, one in enumerate(messages, 1):
        if one.is_learned and "user" not in before:
            raise ValueError(f"message {number} is an answer to learn, and no user spoke before it")
        if one.role == "tool" and "assistant" not in before:
            raise ValueError(f"message {number} is a tool's result, and nothing was said before it")
        before.add(one.role)
    if "user" not in before:
        raise ValueError("no message is a user's")
    if not any(one.is_learned for one in messages):
        raise ValueError("no answer in it is to be learned")


def numbered(examples: Iterable[Example]) -> Iterator[Example]:
    """The same rows, where the second row of one id is called `id#2`, the third `id#3` ..."""
    seen: dict[str, int] = {}
    for example in examples:
        count = seen[example.id] = seen.get(example.id, 0) + 1
        yield example if count == 1 else replace(example, id=f"{example.id}#{count}")
