"""The user's own DeepSpeed file: read, held against the recipe, and handed on with what the recipe decides put to "auto"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError

# Keys of DeepSpeed 0.19 that leave the numbers of a step alone, or say how weights are held.
_PASSED_ON = {
    "activation_checkpointing",
    "aio",
    "checkpoint",
    "comms_logger",
    "communication_data_type",
    "data_types",
    "disable_allgather",
    "dump_state",
    "flops_profiler",
    "gradient_predivide_factor",
    "memory_breakdown",
    "prescale_gradients",
    "steps_per_print",
    "wall_clock_breakdown",
    "zero_allow_untested_optimizer",
    "zero_force_ds_cpu_optimizer",
    "zero_optimization",
}
# What the recipe says instead, and by which key.
_OURS = {
    "train_batch_size": "train.per_device_train_batch_size, gradient_accumulation_steps and processes",
    "train_micro_batch_size_per_gpu": "train.per_device_train_batch_size",
    "gradient_accumulation_steps": "train.gradient_accumulation_steps",
    "gradient_clipping": "train.max_grad_norm",
}
_INSTEAD = {
    "optimizer": "train.optim decides it",
    "scheduler": "train.lr_scheduler_type decides it",
    "fp16": "a GPU computes in bf16 here, a CPU in fp32",
}


def read_deepspeed(file: Path) -> dict[str, Any]:
    """For TrainingArguments(deepspeed=...). UserError for what it cannot be, or what our steps would pass over."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(f"{file.name} cannot be read as JSON ({error})", "fix it") from None
    if not isinstance(told, dict):
        raise _bad(f"{file.name} holds no JSON object", "fix it")
    for key, value in told.items():
        _check_key(key, value)
    zero_stage(told)
    return {**told, **dict.fromkeys(_OURS, "auto"), "bf16": {"enabled": "auto"}}


def zero_stage(told: dict[str, Any]) -> int:
    """1, 2 or 3: with 0 nothing is split, which is what the processes do anyway."""
    zero = told.get("zero_optimization")
    stage = zero.get("stage") if isinstance(zero, dict) else None
    if stage not in (1, 2, 3) or isinstance(stage, bool):
        raise _bad(
            f"zero_optimization.stage is {json.dumps(stage)}",
            "write 1 (the optimizer is split), 2 (gradients too) or 3 (weights too)",
        )
    return int(stage)


def _check_key(key: str, value: Any) -> None:
    if key in _OURS:
        if value != "auto":
            raise _bad(f"{key} is {json.dumps(value)}, and {_OURS[key]} says that", 'write "auto"')
    elif key == "bf16":
        if not isinstance(value, dict) or value != {"enabled": "auto"}:
            raise _bad("bf16 is decided by the GPU", 'write {"enabled": "auto"}, or remove it')
    elif key in _INSTEAD:
        if not (key == "fp16" and isinstance(value, dict) and value.get("enabled") is False):
            raise _bad(f"{key} is not taken from there: {_INSTEAD[key]}", f"take {key} out")
    elif key not in _PASSED_ON:
        known = [*_PASSED_ON, *_OURS, "bf16"]
        raise _bad(f"'{key}' is no key that goes with our steps", did_you_mean(key, known))


def _bad(what: str, cure: str) -> UserError:
    return UserError(f"train.deepspeed: {what}", cure)
