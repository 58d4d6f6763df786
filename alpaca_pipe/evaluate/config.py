"""The table `evaluate:` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field

from alpaca_pipe.core.config_table import Added, ExistingPath, Knob, Table
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.least_difference import LOSS, SHARE

TUNED, SHUFFLED, SFT = "train/model", "train/control", "train/sft"
TRAINED = "curate/train.jsonl"  # which foreign rows must not be among
ALIGNED = "align/model"  # where it is there, it is the tuned model
CHOSEN_ON = (
    "train/chosen_on.jsonl"  # ids of the held-out rows that chose the tuned model's checkpoint
)


class LmEval(Table):
    """Tasks of lm-eval (extra `lm-eval`), run by its own command on base and tuned."""

    tasks: tuple[str, ...] = Field(min_length=1, description="as `lm_eval --tasks` has them")
    include: ExistingPath | None = Field(
        None, description="a folder with tasks of your own, as `--include_path`"
    )
    limit: int | None = Field(None, ge=1, description="documents of each task; null: all")
    arguments: tuple[str, ...] = Field(
        (), description="more of lm_eval's arguments, as they are: [--num_fewshot, '5']"
    )


class EvaluateConfig(Table):
    """How many held-out rows are scored, and how many answers are shown."""

    also: ClassVar[Mapping[str, str]] = {
        "max_rows": "rows",
        "num_samples": "samples",
        "n_resamples": "resamples",
    }

    rows: int = Field(
        200,
        ge=1,
        description="held-out rows to score, at most, the first ones of the file; and so many foreign ones",
    )
    foreign: Annotated[ExistingPath | None, Added()] = Field(
        None,
        description="a file of others' instructions and answers, in any form: so many rows of it are scored too, for a verdict of their own; rows that were trained on are left out",
    )
    max_length: int = Field(
        1024, ge=16, description="tokens of prompt and answer; longer rows are left out for all"
    )
    min_difference: Annotated[float, Added()] = Field(
        LOSS.least,
        ge=0,
        description="nats a token: the smallest difference of losses that counts, however sure it is",
    )
    min_share_difference: Annotated[float, Added()] = Field(
        SHARE.least,
        ge=0,
        le=1,
        description="of answers: the smallest difference that counts in rules, habits and small questions; 0.02: two percentage points",
    )
    resamples: int = Field(10_000, ge=100, description="draws of the bootstrap")
    samples: int = Field(
        4, ge=0, description="held-out instructions that base and tuned answer, for you to read"
    )
    max_new_tokens: int = Field(48, ge=1, description="length of these answers")
    rules: Annotated[int, Added()] = Field(
        0,
        ge=0,
        description="prompts with rules that a program checks (word counts, formats, keywords ...), answered by base and tuned, at most; 0: none",
    )
    habits: Annotated[int, Added()] = Field(
        0,
        ge=0,
        description="held-out rows that base and tuned answer, to see whether they stop, echo, repeat themselves; 0: none",
    )
    forgetting: Annotated[bool, Added()] = Field(
        False, description="small questions, to see what the tuned model forgot"
    )
    refusals: Annotated[bool, Added()] = Field(
        False,
        description="requests that should be declined, and such that only look like them, answered by base and tuned",
    )
    judge: Annotated[Judging | None, Added()] = Field(
        None, description="any teacher as the judge of answers of base and tuned"
    )
    lm_eval: Annotated[LmEval | None, Added()] = Field(
        None, description="tasks of lm-eval, run by its own command on base and tuned"
    )
    answer_tokens: Annotated[int, Added()] = Field(
        160, ge=1, description="length of the answers of rules, habits and (at most 64) refusals"
    )
    batch_tokens: Annotated[int, Knob()] = Field(
        2048, ge=16, description="padded positions scored at once"
    )

    def rehearsed(self) -> Self:
        """A few rows; four times the length, for a stand-in tokenizer spells bytes, about four to a token."""
        return self.model_copy(
            update={
                "rows": min(self.rows, 8),
                "samples": min(self.samples, 1),
                "max_length": 4 * self.max_length,
                "max_new_tokens": min(self.max_new_tokens, 8),
                "rules": min(self.rules, 8),
                "habits": min(self.habits, 4),
                "answer_tokens": min(self.answer_tokens, 8),
                "judge": self.judge and self.judge.rehearsed(),
                "lm_eval": None,
            }
        )

    def reads(self) -> tuple[str, ...]:
        return (TRAINED,) if self.foreign else ()

    def brings(self) -> tuple[Ingredient, ...]:
        judges = self.judge.teacher.brings() if self.judge else ()
        return tuple(one._replace(kind="judge") for one in judges)
