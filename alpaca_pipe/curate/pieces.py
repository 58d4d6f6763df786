"""Conversations that are longer than a model has room for, cut in pieces where a user speaks.

As FastChat did for Vicuna: whole exchanges are laid into a piece as long as they fit, a message counts as its tokens and 6
for what a template writes around it. Each piece has the system text, and begins without what was said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from alpaca_pipe.core.config_table import ExistingPath, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Rejected

AROUND = 6  # tokens that a template writes around a message
WHOLE = "conversation"  # in the origin of a piece: the id of the conversation that it was cut from
Counted = Callable[[Sequence[str]], Sequence[int]]  # texts -> tokens of each


class SplitLong(Table):
    """Conversations that are cut in pieces where a user speaks: `2048`, or a table with its settings."""

    tokens: int = Field(
        ge=64,
        description="of a piece, at most: those of its texts and 6 a message for what a template writes around it, as FastChat counts",
    )
    tokenizer: ExistingPath | None = Field(
        None, description="a tokenizer.json that counts; null: the base's"
    )

    def rehearsed(self) -> Self:
        """Four times as many: a stand-in's tokenizer spells bytes."""
        return self if self.tokenizer else self.model_copy(update={"tokens": 4 * self.tokens})


def _tokens(value: Any) -> Any:
    """`2048` as the table that it stands for."""
    return {"tokens": value} if isinstance(value, int) and not isinstance(value, bool) else value


MaybeSplitLong = Annotated[
    SplitLong | None,
    BeforeValidator(_tokens, json_schema_input_type=SplitLong | int | None),
]


@dataclass
class Cutter:
    """Cuts rows and remembers how many. most: tokens of a piece. aside: is told of a piece in which nothing is learned."""

    most: int
    counted: Counted
    aside: Callable[[Rejected], None] = lambda row: None
    conversations: int = 0
    pieces: int = 0
    over: int = 0  # pieces of one exchange that is longer than `most` by itself

    def __call__(self, row: Example) -> Iterator[Example]:
        """The row itself where it fits, or cannot be cut; else its pieces, in order."""
        parts = self._parts(row)
        if len(parts) < 2:
            yield row
            return
        self.conversations += 1
        for number, part in enumerate(parts, 1):
            details = {**row.origin.details, WHOLE: row.id, "piece": f"{number} of {len(parts)}"}
            origin = replace(row.origin, parents=(row.id,), details=details)
            try:
                piece = Example.of_messages(part, origin, row.system)
            except ValueError as error:
                said = f"piece {number} of {len(parts)} of a long conversation: {error}"
                text = "\n".join(one.text for one in part)
                self.aside(Rejected(text, "do_not_learn", said, row.origin.source, kind="imported"))
                continue
            self.pieces += 1
            yield piece

    def _parts(self, row: Example) -> list[tuple[Message, ...]]:
        told = row.conversation()
        counts = [count + AROUND for count in self.counted([row.system, *map(_said, told)])]
        system = counts[0] if row.system else 0
        starts = [at for at, one in enumerate(told) if one.role == "user"][1:]
        exchanges = [*zip([0, *starts], [*starts, len(told)], strict=True)]
        parts: list[tuple[int, int]] = []
        room = 0
        for begin, end in exchanges:
            size = sum(counts[1 + begin : 1 + end])
            if parts and size <= room:
                parts[-1] = parts[-1][0], end
                room -= size
            else:
                parts.append((begin, end))
                room = self.most - system - size
                self.over += room < 0
        return [told[begin:end] for begin, end in parts]

    def summary(self) -> dict[str, Any]:
        """{} where nothing was cut and nothing is too long."""
        if not (self.conversations or self.over):
            return {}
        figures = {"conversations": self.conversations, "pieces": self.pieces, "over": self.over}
        return {"split_long": figures}


def _said(message: Message) -> str:
    """All that a template may write of a message."""
    calls = "".join(str(dict(call)) for call in message.tool_calls)
    return f"{message.reasoning}{message.text}{calls}"


def counter(how: SplitLong, tables: Mapping[str, Any], say: Callable[[str], None]) -> Counted:
    """By the tokenizer that is named, or by the base's."""
    if how.tokenizer is not None:
        from alpaca_pipe.curate.detectors.token_length import tokens

        file: Path = how.tokenizer
        return lambda texts: [tokens(text, file) for text in texts]
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.weights.base import resolve

    tokenizer = load_tokenizer(resolve(tables["base"], say))
    return lambda texts: [
        len(ids) for ids in tokenizer([*texts], add_special_tokens=False)["input_ids"]
    ]


def check_counted(how: SplitLong | None, tables: Mapping[str, Any], imports: bool) -> None:
    """Raises UserError where nothing could be cut, or nobody counts."""
    if how is None:
        return
    if not imports:
        raise UserError(
            "curate.split_long: it cuts the conversations of `from`, and there is none",
            "remove it, or name a file in curate.from",
        )
    if how.tokenizer is None and "base" not in tables:
        raise UserError(
            "curate.split_long: tokens are counted by the base's tokenizer, and the recipe has no 'base:'",
            "add a table 'base:', or name a tokenizer.json in curate.split_long.tokenizer",
        )
