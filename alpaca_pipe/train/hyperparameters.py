"""How a model is tuned, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass

LEARNING_RATE = {
    "lora": 2e-4,
    "qlora": 2e-4,
    "full": 2e-5,
}  # unless the recipe says otherwise, by method
PRETRAINING_RATE = 3e-4  # of all weights on plain texts: LLaMA's for 7B (arXiv:2302.13971, table 2)


@dataclass(frozen=True)
class Objective:
    """What is minimised. loss: nll, or dft (its factor p(token) is held fixed); prompt_loss_weight: of tokens that no answer
    holds; neftune_noise_alpha: noise of size alpha / sqrt(tokens of the row x hidden size) on embeddings."""

    loss: str = "nll"
    prompt_loss_weight: float = 0.0
    neftune_noise_alpha: float | None = None


@dataclass(frozen=True)
class Kernels:
    """What a GPU is asked for beyond torch's own (gpu_kernels.py), by the names of TrainingArguments. tf32 None: as torch has it."""

    use_liger_kernel: bool = False
    torch_compile: bool = False
    tf32: bool | None = None
    fp8: bool = False

    def named(self) -> tuple[str, ...]:
        """Those that are asked for."""
        each = ("use_liger_kernel", "torch_compile", "tf32", "fp8")
        return tuple(name for name in each if getattr(self, name))


@dataclass(frozen=True)
class Hyperparameters:
    """The numbers of a tune, by the names of HF's TrainingArguments. lora: keyword arguments of peft's LoraConfig; optimizer:
    of TrainingArguments."""

    learning_rate: float
    num_train_epochs: float
    max_steps: int | None
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    lr_scheduler_type: str
    warmup_steps: float
    weight_decay: float
    seed: int
    lora: Mapping[str, Any] | None
    objective: Objective = Objective()
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    checkpointing: bool = False
    kernels: Kernels = Kernels()
    processes: int = 1
    fsdp: bool = False
    deepspeed: Mapping[str, Any] | None = None
    save_steps: int | None = None
    save_total_limit: int = 1

    @property
    def rows_a_step(self) -> int:
        """Of one optimizer step, on all processes together."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps * self.processes

    @property
    def in_parts(self) -> bool:
        """Whether processes hold weights or gradients in parts, so that all must do the same at the same time."""
        return self.fsdp or self.deepspeed is not None

    @property
    def draws(self) -> bool:
        """Whether something random belongs to one row alone, so that no part of it can be shared with another row."""
        dropout = bool(self.lora and self.lora["lora_dropout"])
        return dropout or self.objective.neftune_noise_alpha is not None

    def steps(self, rows: int) -> int:
        """Optimizer steps over `rows` rows; the last partial batch of an epoch is a step."""
        if self.max_steps is not None:
            return self.max_steps
        return math.ceil(self.num_train_epochs * math.ceil(rows / self.rows_a_step))
