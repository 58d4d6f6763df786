"""[evaluate] is the tuned model better than the base, and is that more than form?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from alpaca_pipe.core.config_table import Knob
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.models.architecture import shape_of
from alpaca_pipe.models.fit import training_flops
from alpaca_pipe.models.speed import loading, reached
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageConfig,
    StageContext,
)
from alpaca_pipe.weights.base import TINY

TUNED, SHUFFLED = "train/model", "train/control"


class EvaluateConfig(StageConfig):
    """On how many held-out rows, and how many answers to read."""

    rows: int = Field(
        200, ge=1, description="at most so many held-out rows are scored, the first of the file"
    )
    max_length: int = Field(
        1024, ge=16, description="tokens of prompt and answer; longer rows are left out for all"
    )
    resamples: int = Field(10_000, ge=100, description="draws of the bootstrap")
    samples: int = Field(
        4, ge=0, description="held-out instructions that base and tuned answer, to be read"
    )
    max_new_tokens: int = Field(48, ge=1, description="length of these answers")
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
            }
        )


def run(config: EvaluateConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.evaluate.run import evaluate

    return evaluate(config, context)


def estimate(config: EvaluateConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    rows, base, machine = (
        min(config.rows, getattr(tables.get("curate"), "held_out", config.rows)),
        tables.get("base"),
        machine_of(tables),
    )
    says = f"{rows} held-out rows x 4 contestants and 2 x {config.samples} answers to read"
    if getattr(base, "model", None) == TINY:
        return Estimate(
            Range.about(0.1, 2), f"{rows} held-out rows x 4 contestants, on a tiny model"
        )
    shape = shape_of(base) if base else None
    if machine.gpu and shape:
        answers = 2 * config.samples * config.max_new_tokens * shape.layers * _LAYER_SECONDS
        scored = training_flops(shape.multiplied, 4 * rows * _TOKENS_A_ROW) / 3  # forward only
        seconds = reached(machine.gpu, scored, 4 * rows * shape.layers / 8) + loading(
            shape.parameters, 3, True
        )
        minutes = (seconds + Range.about(answers, 2)).times(1 / 60)
        return Estimate(
            minutes,
            f"{says}, on one {machine.gpu.name}",
            "the same share of the datasheet's rate as in train; not measured on a GPU yet",
        )
    size = (base.parameters() if base else None) or _MEASURED_ON
    seconds_cpu = (
        (
            3 * _LOAD_SECONDS
            + 4 * rows * _ROW_SECONDS
            + 2 * config.samples * config.max_new_tokens * _TOKEN_SECONDS
        )
        * size
        / _MEASURED_ON
    )
    minutes = Range.about(seconds_cpu / 60, 2)
    return Estimate(minutes, says, "SmolLM2-135M measured on 2 CPU cores")


# SmolLM2-135M in fp32 on 2 cores, 2026-11
_MEASURED_ON = 135e6
_LOAD_SECONDS = 3.0
_ROW_SECONDS = 0.2  # of about 120 tokens
_TOKEN_SECONDS = 0.05  # four answers at once
_TOKENS_A_ROW = 130
_LAYER_SECONDS = (
    0.25e-3  # for each token of an answer and each layer: what a GPU's kernels take to start
)

STAGE = Stage(
    "evaluate",
    version=1,
    config=EvaluateConfig,
    run=run,
    estimate=estimate,
    reads=("curate/held_out.jsonl", TUNED, f"{SHUFFLED}?"),
    uses=("base", "seed"),
    on_gpu=True,
)
