"""The table `pairs:` of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from alpaca_pipe.core.config_table import Table, wrong_key
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.own_function import OwnFunction
from alpaca_pipe.curate.config import ColumnNames, Source
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.models.own_template import TemplateChoice
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.weights.base import GROWN

ROWS, TRAINED = "curate/train.jsonl", "train/model"


class PairJudging(Table):
    """Who compares two answers, in both orders. It costs money where the judge does: `plan` says how much."""

    teacher: Annotated[TeacherTable, Field(description="who judges, as in `teacher:`")]
    max_tokens: int = Field(300, ge=16, description="of a judgement: a word and a sentence")
    temperature: float | None = Field(0.0, ge=0, le=2, description="null: the judge's default")

    def judging(self) -> Judging:
        """As evaluate's judge is told."""
        return Judging(
            teacher=self.teacher,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            prompts=None,
        )

    def rehearsed(self) -> Self:
        return self.model_copy(update={"teacher": self.teacher.rehearsed()})


Rule = Annotated[
    OwnFunction | None, BeforeValidator(lambda value: value, json_schema_input_type=str | None)
]


class PairsConfig(Table):
    """Where answers to one prompt come from, and who says which is better."""

    source: Source | None = Field(
        None,
        alias="from",
        description="rows whose prompts are answered, or with answers: kept rows of chosen and rejected, or with a label; default: the curated rows",
    )
    columns: ColumnNames = Field(
        {}, description="what the columns of `from` are, where their names do not say it"
    )
    split: str | None = Field(None, description="which split of `from`, where it holds several")
    keep_going: bool = Field(
        False,
        description="rows of `from` that cannot be read are set aside with a reason, instead of an error",
    )
    answers: Literal["tuned", "teacher", "kept"] = Field(
        "tuned",
        description="whose answers: the tuned model's (the base's without train:), a teacher's, or those that the rows kept",
    )
    teacher: TeacherTable | None = Field(
        None, description="answers: teacher: who answers, as in `teacher:`"
    )
    count: int = Field(200, ge=1, description="prompts that are answered, or rows, at most")
    num_generations: int = Field(
        4,
        ge=2,
        le=16,
        description="answers a prompt; a judge is asked about every two of them, twice",
    )
    max_completion_length: int = Field(128, ge=1, description="tokens of an answer")
    temperature: float = Field(1.0, gt=0, le=2, description="at which the answers are drawn")
    template: TemplateChoice | None = Field(
        None, description="answers: tuned: default: the template of train:, else chat"
    )
    judge: PairJudging | None = Field(
        None, description="who compares the answers; null: rules that cost nothing"
    )
    rule: Rule = Field(
        None,
        description="a function of yours instead of our rules, `mine.py:score`: (question, answer, ended) -> number, higher is better",
    )
    least_margin: float = Field(
        0.0, ge=0, le=1, description="pairs whose answers are less far apart are set aside as ties"
    )

    renamed: ClassVar[dict[str, str]] = {
        "n": "num_generations",
        "max_new_tokens": "max_completion_length",
        "max_rows": "count",
    }

    @model_validator(mode="after")
    def _as_asked(self) -> Self:
        if (self.answers == "teacher") != (self.teacher is not None):
            cure = "add pairs.teacher" if self.teacher is None else "set answers: teacher"
            raise wrong_key(
                "answers", self.answers, f"a teacher is named where one answers - {cure}"
            )
        if self.judge is not None and self.rule is not None:
            raise wrong_key("rule", self.rule, "a judge is named too - remove one of them")
        return self

    def reads(self) -> tuple[str, ...]:
        tuned = (f"{TRAINED}?", f"{GROWN}?") if self.answers == "tuned" else ()
        return tuned if self.source else (f"{ROWS}?", *tuned)

    def brings(self) -> tuple[Ingredient, ...]:
        found: list[Ingredient] = []
        if self.source is not None:
            named = self.source if isinstance(self.source, HubId) else self.source.name
            found.append(Ingredient("data", named))
        if self.teacher:
            found += self.teacher.brings()
        if self.judge:
            found += [one._replace(kind="judge") for one in self.judge.teacher.brings()]
        return tuple(found)

    def identity(self) -> dict[str, Any]:
        answer = super().identity()
        for name in ("columns", "split"):
            if not answer[name]:
                del answer[name]
        return answer

    def rehearsed(self) -> Self:
        by_lot = OwnFunction(file=Path(__file__).with_name("rehearsal_rule.py"), function="by_lot")
        return self.model_copy(
            update={
                "rule": self.rule or (None if self.judge else by_lot),
                "count": min(self.count, 24),
                "num_generations": 2,
                "max_completion_length": min(self.max_completion_length, 8),
                "teacher": self.teacher and self.teacher.rehearsed(),
                "judge": self.judge and self.judge.rehearsed(),
            }
        )

    @property
    def judged_by(self) -> str:
        """As a sentence names it."""
        if self.judge:
            return self.judge.teacher.called
        return self.rule.called if self.rule else "rules"
