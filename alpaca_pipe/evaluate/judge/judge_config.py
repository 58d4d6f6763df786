"""The table `evaluate.judge:` of a recipe: who judges which answers, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from alpaca_pipe.core.config_table import Added, ExistingPath, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.outlay import Outlay, outlay_of

_RUBRIC_TOKENS, _QUESTION_TOKENS, _REPLY_TOKENS = 230, 60, 45


class Judging(Table):
    """Answers of base and tuned before a judge. It costs money where the judge does: `plan` says how much."""

    teacher: Annotated[TeacherTable, Field(description="who judges, as in `teacher:`")]
    prompts: ExistingPath | None = Field(
        None,
        description="a file of prompts: Self-Instruct's, Vicuna's, MT-Bench's, AlpacaEval's, or your own (JSONL, JSON, a line each); null: the held-out rows",
    )
    count: int = Field(200, ge=1, description="prompts that are answered and judged, at most")
    mode: Literal["pairs", "grades"] = Field(
        "pairs",
        description="pairs: which of two answers is better, in both orders; grades: each answer alone, from 1 to 10",
    )
    against: Literal["base", "file"] = Field(
        "base",
        description="whom the tuned model is compared with: the base, or the answers that stand in the file of prompts",
    )
    ratings: ExistingPath | None = Field(
        None,
        description="what a person chose on rating.html of an earlier run: counted beside the judge",
    )
    question: Annotated[
        ExistingPath | None,
        Added(),
        Field(
            description="a Jinja file in the place of our words to the judge, with question, A and B (mode grades: answer); its "
            "replies are read as ours are"
        ),
    ] = None
    answer_tokens: int = Field(512, ge=1, description="length of the answers")
    max_tokens: int = Field(
        300,
        ge=16,
        description="of a judgement: a word and a sentence; a model that thinks needs more",
    )
    temperature: float | None = Field(0.0, ge=0, le=2, description="null: the judge's default")

    def identity(self) -> dict[str, Any]:
        """The rate at equal length was once told where no judgement could say it."""
        told = self.mode == "pairs" or self.ratings is not None
        return super().identity() | ({"equal_length": 2} if told else {})

    def rehearsed(self) -> Self:
        return self.model_copy(
            update={
                "teacher": self.teacher.rehearsed(),
                "count": min(self.count, 4),
                "answer_tokens": min(self.answer_tokens, 8),
            }
        )

    def check(self) -> TeacherTable:
        """Whom to ask. UserError for one who cannot be asked, and for what cannot be compared."""
        if self.teacher.speaks != "chat":
            raise UserError(
                "evaluate.judge: a judge is asked in chat, and this teacher only completes texts",
                "use kind: openai_chat, or dialect: chat",
            )
        if self.against == "file" and self.prompts is None:
            raise UserError(
                "evaluate.judge.against: there is no file whose answers could be compared",
                "set evaluate.judge.prompts, or against: base",
            )
        return self.teacher

    def decoding(self, takes: frozenset[str], schema: dict[str, Any]) -> dict[str, Any]:
        unasked = "temperature" not in self.model_fields_set and "temperature" not in takes
        wanted: dict[str, Any] = {"max_tokens": self.max_tokens}
        if self.temperature is not None and not unasked:
            wanted["temperature"] = self.temperature
        if "response_format" in takes:
            wanted["response_format"] = schema
        return wanted


def outlay(how: Judging, turns: int, ledger: Path | None = None) -> Outlay:
    """Of so many turns, each in both orders, or both of its answers alone. UserError where the judge
    has no price, or is past its end."""
    answers = 2 if how.mode == "pairs" else 1
    each_in = _RUBRIC_TOKENS + _QUESTION_TOKENS + answers * min(how.answer_tokens, 200)
    return outlay_of(how.check(), 2 * turns, each_in, min(_REPLY_TOKENS, how.max_tokens), ledger)
