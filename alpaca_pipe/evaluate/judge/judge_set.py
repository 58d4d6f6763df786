"""The prompts that a judge is to see answers to: found once, before any model is asked; and how many turns of each every model has
room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.evaluate.asked_rows import conversation, question
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.left_out import left_out
from alpaca_pipe.evaluate.judge.prompt_sets import JudgedPrompt, read_prompts
from alpaca_pipe.models.loss_mask import Encoder


@dataclass(frozen=True)
class JudgeSet:
    """prompts: with the turns that fit, one at least. rows: of each the first turn, as it is asked. left_out: prompts; no_answer: of
    these for want of the answer that they are held against, the others are too long. turns_left_out: of the prompts that stay."""

    prompts: Sequence[JudgedPrompt]
    rows: Sequence[Example]
    left_out: int
    no_answer: int
    turns_left_out: int

    @property
    def turns(self) -> int:
        return sum(len(one.turns) for one in self.prompts)

    def to_summary(self) -> dict[str, Any]:
        return {
            "prompts": len(self.prompts),
            "left_out": self.left_out,
            "no_answer": self.no_answer,
            "turns": self.turns,
            "turns_left_out": self.turns_left_out,
        }

    def sentence(self) -> str:
        """ "" where everything is judged."""
        return "; ".join(left_out(self.to_summary()))


def judge_set(
    how: Judging, held_out: Sequence[Example], encoders: Mapping[str, Encoder], longest: int
) -> JudgeSet:
    """longest: tokens of a conversation that every model has places for. A later turn fits where it does with the longest answers
    that may stand before it."""
    found = (
        [(_of_row(row), row) for row in held_out[: how.count]]
        if how.prompts is None
        else [(one, question(one.turns[0])) for one in read_prompts(how.prompts, how.count)]
    )
    room = longest - how.answer_tokens
    fitting = [_fitting(one, row, encoders, room, how.answer_tokens) for one, row in found]
    answered = [how.against == "base" or bool(one.answer) for one, _ in found]
    kept = [
        (replace(one, turns=one.turns[:turns]), row, len(one.turns) - turns)
        for (one, row), turns, there in zip(found, fitting, answered, strict=True)
        if turns and there
    ]
    return JudgeSet(
        tuple(one for one, _, _ in kept),
        tuple(row for _, row, _ in kept),
        len(found) - len(kept),
        answered.count(False),
        sum(dropped for _, _, dropped in kept),
    )


def _of_row(row: Example) -> JudgedPrompt:
    return JudgedPrompt(row.id, (row.asked,), "", row.output, row.asked)


def _fitting(
    one: JudgedPrompt, row: Example, encoders: Mapping[str, Encoder], room: int, answer: int
) -> int:
    """How many of its turns have room under every prompt."""
    many = all(encoder.template.many_turns for encoder in encoders.values())
    turns = len(one.turns) if many else 1
    for turn in range(turns):
        asked = conversation(one.turns[: turn + 1], ["-"] * turn) if turn else row
        if any(len(e.prompts([asked])[0]) + turn * answer > room for e in encoders.values()):
            return turn
    return turns
