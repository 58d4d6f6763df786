"""What both tools took over from transformers: TrainingArguments' names, optimizers, schedules, templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from alpaca_pipe.start.other_tools.translation import (
    Rule,
    Said,
    Translated,
    by_name,
    different,
    flag,
    needless,
    to,
)
from alpaca_pipe.train.absent_keys import ABSENT
from alpaca_pipe.train.config import Optimizer

SCHEDULES = {name: name for name in ("linear", "cosine", "constant", "constant_with_warmup")}
OPTIMIZERS = {name: name for name in get_args(Optimizer)} | {
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "adamw_hf": "adamw_torch",
}
HELD_OUT = 16  # rows, where a config says a share of an unknown number: curate's own default
NO_SHARE = 0.1  # of the rows, where a config holds none out: with none there would be no verdict
MOST_HELD_OUT = 2000  # rows: more of them do not make a verdict surer
SPEED = "speed alone: chosen here by what the machine has"
_HELD = "curate.held_out"
SHARDED = "set train.processes to the number of GPUs, and train.fsdp: true"
DEEPSPEED = "set train.processes to the number of GPUs, and name the file as train.deepspeed"
FOLDERS = "results lie in runs/, a folder a step"


def held_out(draft: Translated, value: Any) -> Said:
    """A number of rows, or below 1 a share of them. With none there would be no verdict."""
    rows = int(value) if float(value) >= 1 else HELD_OUT
    draft.put("curate.held_out", rows)
    if float(value) >= 1:
        return "carried", f"curate.held_out: {rows}"
    draft.share = float(value) or NO_SHARE
    if not float(value):
        return (
            "different",
            f"curate.held_out: {rows} rows are kept for the verdict, none of them trained on",
        )
    return (
        "different",
        f"curate.held_out: it is a number of rows, {rows} where a share of {value} of rows that are not here yet was meant",
    )


def share_of_rows(draft: Translated, rows: int) -> None:
    """The rows are at hand, so a share of them is a number. rows: as many as can be read."""
    key = next((key for key, (_, words) in draft.said.items() if words.startswith(_HELD)), None)
    if draft.share is None or key is None or rows < 2:
        return
    rows = min(rows, int(draft.recipe["curate"].get("first") or rows))
    found = min(max(1, round(draft.share * rows)), rows // 2, MOST_HELD_OUT)
    draft.put("curate.held_out", found)
    if draft.config.get(key):
        less = f", and more than {MOST_HELD_OUT} are not needed" if found == MOST_HELD_OUT else ""
        draft.said[key] = (
            "carried",
            f"{_HELD}: {found}, a share of {draft.share} of {rows:,} rows{less}",
        )
    else:
        said = (
            f"{_HELD}: {found} of {rows:,} rows are kept for the verdict, none of them trained on"
        )
        draft.said[key] = "different", said


optimizer = by_name(
    "train.optim", OPTIMIZERS, "not among the optimizers here; adamw_torch_fused is used"
)
schedule = by_name(
    "train.lr_scheduler_type", SCHEDULES, "not among the schedules here; cosine is used"
)


def eval_steps(draft: Translated, value: Any) -> Said:
    if str(draft.config.get("eval_strategy") or draft.config.get("evaluation_strategy")) != "steps":
        return "needless", "nothing is evaluated by steps"
    return draft.put("train.eval_steps", float(value) if float(value) < 1 else int(float(value)))


def warmup_ratio(draft: Translated, value: Any) -> Said:
    if float(draft.config.get("warmup_steps") or 0):
        return "needless", "warmup_steps goes before it"
    return draft.put("train.warmup_steps", float(value))


def warmup_steps(draft: Translated, value: Any) -> Said:
    """As transformers has it: 0 leaves it to the ratio."""
    if not float(value) and draft.config.get("warmup_ratio"):
        return "needless", "warmup_ratio says it"
    return draft.put("train.warmup_steps", float(value))


def patience(draft: Translated, value: Any) -> Said:
    names = ("evals_per_epoch", "eval_steps", "eval_strategy", "evaluation_strategy")
    if not any(draft.config.get(name) not in (None, 0, "no") for name in names):
        return "needless", "nothing is evaluated on the way"
    return draft.put("train.early_stopping_patience", int(value))


def save_steps(draft: Translated, value: Any) -> Said:
    if float(value) < 1:
        return "needless", "checkpoints are spaced by what one takes"
    return draft.put("train.save_steps", int(float(value)))


def trackers(draft: Translated, value: Any) -> Said:
    named = [value] if isinstance(value, str) else list(value)
    known = [name for name in named if name in ("tensorboard", "trackio", "wandb")]
    if known:
        draft.put("train.report_to", known[0] if len(known) == 1 else known)
    if others := [name for name in named if name not in (*known, "none")]:
        return "different", f"{', '.join(others)}: trackers here are tensorboard, trackio and wandb"
    return ("carried", f"train.report_to: {', '.join(known)}") if known else ("needless", "off")


def half_precision(draft: Translated, value: Any) -> Said:
    """bf16: of what is frozen. Weights that are trained stay in fp32."""
    if value in (False, "false", "no"):
        return "needless", "off"
    if draft.recipe.get("train", {}).get("method") == "full":
        return (
            "needless",
            "weights that are trained are kept in float32, and products are bfloat16 on a GPU",
        )
    return draft.put("base.dtype", "bfloat16")


# What a recipe has no key for, and which would change the result where it is set.
_CHANGES = ("label_smoothing_factor", "lr_scheduler_kwargs", "optim_args", "router_aux_loss_coef")

SHARED: Mapping[str, Rule] = {
    **{key: (different if key in _CHANGES else needless)(why) for key, why in ABSENT.items()},
    **{
        key: to(f"train.{key}", float)
        for key in ("learning_rate", "weight_decay", "max_grad_norm", "neftune_noise_alpha")
        + ("adam_beta1", "adam_beta2", "adam_epsilon")
    },
    **{key: to(f"train.{key}", int) for key in ("gradient_accumulation_steps", "save_total_limit")},
    "early_stopping_patience": patience,
    "num_train_epochs": to("train.num_train_epochs", float),
    "warmup_ratio": warmup_ratio,
    "warmup_steps": warmup_steps,
    "seed": lambda draft, value: draft.put("train.seed", int(value)),
    "max_steps": lambda draft, value: (
        draft.put("train.max_steps", int(value)) if int(value) > 0 else ("needless", "off")
    ),
    "save_steps": save_steps,
    "eval_steps": eval_steps,
    "report_to": trackers,
    "tf32": to("train.tf32", bool),
    "fp16": different("weights are float32 or bfloat16 here, with no scaled loss"),
    "torch_compile": flag("train.torch_compile"),
    "fp8": flag("train.fp8"),
    "load_best_model_at_end": flag("train.load_best_model_at_end"),
    "resume_from_checkpoint": different(
        "the same command continues from where a run was stopped, by itself"
    ),
    "group_by_length": needless(SPEED),
    "overwrite_output_dir": needless(FOLDERS),
    "save_safetensors": needless("weights are always safetensors"),
    "low_cpu_mem_usage": needless(SPEED),
}
