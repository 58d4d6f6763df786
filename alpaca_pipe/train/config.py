"""The table `train:` of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.templates import TemplateName
from alpaca_pipe.train.hyperparameters import LEARNING_RATE, Hyperparameters
from alpaca_pipe.weights.base import BaseTable

ROWS = "curate/train.jsonl"
FOLDERS = {"tuned": "model", "control": "control"}


class Lora(Table):
    """The adapter. Keys have the names of peft's LoraConfig, without the prefix `lora_`."""

    r: int = Field(16, ge=1, description="rank")
    alpha: int = Field(32, ge=1, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout of the adapter's input, while training"
    )
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="names of linear layers, such as [q_proj, v_proj]"
    )

    renamed: ClassVar[dict[str, str]] = {
        "lora_r": "r",
        "rank": "r",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
    }


class TrainConfig(Table):
    """How the model is tuned. Keys have the names of TrainingArguments in transformers 5."""

    method: Literal["lora", "full"] = Field(
        "lora", description="an adapter beside frozen weights, or all weights"
    )
    template: TemplateName = Field(
        "alpaca",
        description="the text around what is said: see the templates",
    )
    max_length: int = Field(
        512, ge=8, description="tokens of prompt, answer and EOS; longer rows are dropped"
    )
    learning_rate: float | None = Field(
        None, gt=0, description="default: 2e-4 for lora, 2e-5 for full"
    )
    num_train_epochs: float = Field(3.0, gt=0, description="how often each row is used")
    max_steps: int | None = Field(None, ge=1, description="steps, instead of num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="rows at once")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="batches per step of the optimizer"
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup_steps: float = Field(0.03, ge=0, description="steps, or below 1 their share")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    lora: Lora = Field(Lora(), description="method lora: the adapter")
    control: Literal["shuffled", "none"] = Field(
        "shuffled",
        description="a second tune with the answers exchanged among the instructions: it shows what the form alone teaches",
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


def check(config: TrainConfig, base: BaseTable) -> None:
    """What the recipe alone decides, so that it is known before anything is paid."""
    if config.method == "full" and base.dtype == "bfloat16":
        raise UserError(
            "train: full tuning of bfloat16 weights: at a rate of 2e-5, 70 % of them do not move in a step",
            "set base.dtype: float32, or train.method: lora",
        )


def conversations_refused(several: int, rows: int, template: str) -> UserError:
    return UserError(
        f"train: {several} of {rows} rows are conversations of several turns, and template "
        f"{template} holds one exchange",
        "use train.template: chat (the base's own), chatml, llama3 or vicuna",
    )
