"""[train] tunes the base on the curated rows, and a control on the same rows with the answers exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.models.architecture import has_weights, shape_of
from alpaca_pipe.models.speed import PUBLISHED
from alpaca_pipe.models.templates import TemplateName
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageConfig,
    StageContext,
)
from alpaca_pipe.train.cost_estimate import Job, lengths
from alpaca_pipe.train.hyperparameters import LEARNING_RATE, Hyperparameters
from alpaca_pipe.weights.base import BaseTable

ROWS = "curate/train.jsonl"
FOLDERS = {"tuned": "model", "control": "control"}


class Lora(Table):
    """The adapter, by the names of peft's LoraConfig but for their `lora_` prefix."""

    r: int = Field(16, ge=1, description="rank")
    alpha: int = Field(32, ge=1, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapter's input, while training")
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="names of linear layers, such as [q_proj, v_proj]"
    )

    renamed: ClassVar[dict[str, str]] = {
        "lora_r": "r",
        "rank": "r",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
    }


class TrainConfig(StageConfig):
    """How it is tuned, by the names of HF's TrainingArguments as of transformers 5."""

    method: Literal["lora", "full"] = Field(
        "lora", description="an adapter beside frozen weights, or all weights"
    )
    template: TemplateName = Field(
        "alpaca",
        description="the text around an instruction; alpaca-2023 is Stanford's, "
        "without the line feed before the answer",
    )
    max_length: int = Field(
        512, ge=8, description="tokens of prompt, answer and EOS; longer rows are dropped"
    )
    learning_rate: float | None = Field(
        None, gt=0, description="default: 2e-4 for lora, 2e-5 for full"
    )
    num_train_epochs: float = Field(3.0, gt=0, description="how often each row is learned from")
    max_steps: int | None = Field(None, ge=1, description="in place of num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="rows at once")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="batches to one step of the optimizer"
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup_steps: float = Field(0.03, ge=0, description="steps, or below 1 their share")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    lora: Lora = Field(Lora(), description="method lora: the adapter")
    control: Literal["shuffled", "none"] = Field(
        "shuffled",
        description="a second tune, answers exchanged among the instructions: what form alone teaches",
    )

    renamed: ClassVar[dict[str, str]] = {
        "warmup_ratio": "warmup_steps",
        "epochs": "num_train_epochs",
        "num_epochs": "num_train_epochs",
        "lr": "learning_rate",
        "batch_size": "per_device_train_batch_size",
        "micro_batch_size": "per_device_train_batch_size",
        "gradient_accumulation": "gradient_accumulation_steps",
        "max_seq_length": "max_length",
        "model_max_length": "max_length",
        "cutoff_len": "max_length",
        "scheduler": "lr_scheduler_type",
        "lr_scheduler": "lr_scheduler_type",
        "lora_r": "lora.r",
        "lora_alpha": "lora.alpha",
        "lora_dropout": "lora.dropout",
        "lora_target_modules": "lora.target_modules",
        "target_modules": "lora.target_modules",
        "evaluation_strategy": "evaluate:",
        "eval_strategy": "evaluate:",
    }

    def rehearsed(self) -> Self:
        """A few steps; four times the length, for a stand-in tokenizer spells bytes, about four to a token."""
        return self.model_copy(
            update={
                "max_steps": 4,
                "max_length": 4 * self.max_length,
                "gradient_accumulation_steps": 1,
                "per_device_train_batch_size": min(self.per_device_train_batch_size, 4),
            }
        )

    def hyper(self, seed: int) -> Hyperparameters:
        lora = {
            "r": self.lora.r,
            "lora_alpha": self.lora.alpha,
            "lora_dropout": self.lora.dropout,
            "target_modules": self.lora.target_modules
            if isinstance(self.lora.target_modules, str)
            else list(self.lora.target_modules),
        }
        return Hyperparameters(
            self.learning_rate or LEARNING_RATE[self.method],
            self.num_train_epochs,
            self.max_steps,
            self.per_device_train_batch_size,
            self.gradient_accumulation_steps,
            self.lr_scheduler_type,
            self.warmup_steps,
            self.weight_decay,
            seed,
            lora if self.method == "lora" else None,
        )


def run(config: TrainConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.train.run import train

    return train(config, context)


def check(config: TrainConfig, base: BaseTable) -> None:
    """What the recipe alone decides, so that it is known before anything is paid."""
    if config.method == "full" and base.dtype == "bfloat16":
        raise UserError(
            "train: full tuning of bfloat16 weights: at a rate of 2e-5, 70 % of them do not move in a step",
            "set base.dtype: float32, or train.method: lora",
        )


def estimate(config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """UserError for a recipe that cannot be trained."""
    base: BaseTable | None = tables.get("base")
    if base:
        check(config, base)
    length, machine, job = (
        lengths(known.inputs.get(ROWS)),
        machine_of(tables),
        job_of(config, tables, known),
    )
    rows = length.rows or _rows_expected(tables)
    tunes = 2 if config.control == "shuffled" else 1
    steps = config.hyper(0).steps(rows)
    batch = min(rows, config.per_device_train_batch_size * config.gradient_accumulation_steps)
    says = f"{config.method}, {steps:,} steps of {batch} rows" + (
        ", twice (control)" if tunes == 2 else ""
    )
    measured = f"rows of {length.mean:.0f} tokens" + (
        " (the curated ones)" if length.rows else ", as in the released 52K"
    )
    notes = "".join(_notes(base))
    if base and job and machine.gpu:
        fit, minutes = job.on(machine.gpu), job.minutes(machine.gpu, has_weights(base))
        tight = "" if fit.fits else f"; {fit}"
        return Estimate(
            minutes,
            f"{says}, on one {machine.gpu.name}{tight}{notes}",
            f"{measured}; {PUBLISHED}{'; the shape of the base is guessed from its size' * job.shape.guessed}",
        )
    parameters = base.parameters() if base else None
    if parameters is None:
        return Estimate(
            NOTHING,
            f"{says}; the size of the base is not known here, so neither are the minutes{notes}",
        )
    tokens = steps * batch * length.mean * tunes
    seconds = _START_SECONDS * tunes + tokens * parameters * _FLOP[config.method] / _CPU_FLOPS
    minutes = Range.about(seconds / 60, 2)
    return Estimate(
        minutes,
        f"{says}, on 2 CPU cores{notes}",
        f"{measured}; SmolLM2-135M measured on 2 CPU cores",
    )


def job_of(config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Job | None:
    """The stage's work by the shape of its base; None where that is not known, and for the tiny stand-in."""
    base: BaseTable | None = tables.get("base")
    shape = shape_of(base) if base else None
    if base is None or shape is None:
        return None
    length = lengths(known.inputs.get(ROWS))
    rows = length.rows or _rows_expected(tables)
    step = min(rows, config.per_device_train_batch_size * config.gradient_accumulation_steps)
    trained = config.max_steps * step if config.max_steps else rows * config.num_train_epochs
    at_once = min(rows, config.per_device_train_batch_size)
    return Job(
        shape,
        config.method,
        base.dtype,
        config.lora.r,
        config.lora.target_modules,
        at_once,
        config.max_length,
        length,
        trained * length.mean,
        trained / at_once,
        2 if config.control == "shuffled" else 1,
    )


def _rows_expected(tables: Mapping[str, Any]) -> int:
    curate = tables.get("curate")
    source = getattr(curate, "source", None)
    rows = (
        source.stat().st_size // _BYTES_A_ROW
        if source
        else getattr(tables.get("generate"), "count", 0)
    )
    return max(
        1, min(rows, getattr(curate, "first", None) or rows) - getattr(curate, "held_out", 0)
    )


def _notes(base: BaseTable | None) -> Iterator[str]:
    if base and base.on_hub and base.commit() != base.revision:
        yield (
            f"; hub revision '{base.revision}' is not pinned: write base.revision: "
            f"{base.commit() or 'the commit, 40 hex digits'}"
        )
    if find_spec("torch") is None:
        yield "; it needs the extra 'train', which is not installed"


_BYTES_A_ROW = 430  # of a JSON file, the released 52K
_START_SECONDS = 12.0  # imports, loading, saving
_FLOP = {
    "lora": 4,
    "full": 6,
}  # a parameter and token: forward 2, gradient of activations 2, of weights 2
_CPU_FLOPS = 120e9  # a second on 2 cores without AMX: SmolLM2-135M, LoRA, 1,000 tokens a step in 4.2 s (2026-11)


STAGE = Stage(
    "train",
    version=1,
    config=TrainConfig,
    reads=(ROWS,),
    uses=("base", "seed"),
    estimate=estimate,
    run=run,
    on_gpu=True,
)
