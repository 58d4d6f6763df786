"""What is to be answered: the rows up to their last learned answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alpaca_pipe.core.completion import PromptMessage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.reading import Aside, read
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.pairs.config import ROWS, PairsConfig


@dataclass(frozen=True)
class PromptAnswer:
    """One answer to a prompt. ended: it stopped by itself."""

    text: str
    ended: bool


def rows_to_ask(config: PairsConfig, inputs: Mapping[str, Path], aside: Aside) -> list[Example]:
    """The first `count` rows whose prompts differ. UserError where there are none."""
    if config.source:
        columns = Columns.of(config.columns) if config.columns else None
        rows = read(
            config.source,
            keep_going=config.keep_going,
            columns=columns,
            split=config.split,
            aside=aside,
        )
    elif ROWS in inputs:
        rows = iter([Example.from_row(row) for row in read_jsonl(inputs[ROWS])])
    else:
        raise UserError(
            "pairs: there are no rows whose prompts could be answered",
            "add `curate:` to the recipe, or name a file with pairs.from",
        )
    found: dict[tuple[str, tuple[Message, ...]], Example] = {}
    for row in rows:
        asked = prompt_of(row)
        if asked and (row.system, asked) not in found:
            found[row.system, asked] = row
    if not found:
        raise UserError(
            "pairs: no row has a prompt that can be answered", "look at the rows that it reads"
        )
    return list(found.values())[: config.count]


def prompt_of(row: Example) -> tuple[Message, ...]:
    """The messages before the last answer, an input below its instruction; () where tools speak in it."""
    told = row.conversation()
    end = max(
        (place for place, one in enumerate(told) if one.role == "assistant"), default=len(told)
    )
    asked = tuple(
        replace(one, learned=False) if one.role == "assistant" else one for one in told[:end]
    )
    plain = all(one.is_plain and one.role in ("user", "assistant") for one in asked)
    return asked if plain and asked and asked[-1].role == "user" else ()


def question(row: Example) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what the users said, what was answered before), as a judge is shown it."""
    asked = prompt_of(row)
    return tuple(one.text for one in asked if one.role == "user"), tuple(
        one.text for one in asked if one.role == "assistant"
    )


def as_messages(row: Example) -> tuple[PromptMessage, ...]:
    """As a teacher is asked."""
    system = [PromptMessage("system", row.system)] if row.system else []
    return (*system, *(PromptMessage(one.role, one.text) for one in prompt_of(row)))  # type: ignore[arg-type]


def preference(row: Example, better: str, worse: str, details: Mapping[str, object]) -> Preference:
    """The row's prompt with two of its answers; instruction and input stay apart, as a template may write them."""
    origin = Origin(row.origin.kind, row.origin.source, (row.id,), dict(details))
    prompt: Sequence[Message] = prompt_of(row)
    given = ""
    if not row.messages:
        prompt, given = (Message("user", row.instruction),), row.input
    return Preference.pair(
        prompt,
        [Message("assistant", better)],
        [Message("assistant", worse)],
        origin,
        row.system,
        given,
    )
