"""What [align] will take: the passes over pairs and answers, by the same speeds as train."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.align.config import AlignConfig
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.data.source_size import rows_expected, rows_to_train
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu
from alpaca_pipe.models.architecture import Architecture, parameters_in, shape_in
from alpaca_pipe.models.fit import GB, Method, fit, memory, memory_on_cpu, training_flops
from alpaca_pipe.models.speed import loading, reached
from alpaca_pipe.train.hyperparameters import Hyperparameters

_TOKENS_A_SIDE = 130.0  # prompt and answer of the released 52K
_CPU_FLOPS = (
    90e9  # a second on 2 cores: pairs are padded, and the adapter's layers are not all lean
)
_CPU_TOKENS = 18.0  # drawn a second and answer at once by 135M parameters on 2 cores
_MEASURED_ON = 135e6
_LAYER_SECONDS = 0.25e-3  # of a GPU, for each layer and token that is drawn
_START_SECONDS = 15.0
_ROWS = 1000  # where nothing says how many


@dataclass(frozen=True)
class AlignOutlay:
    """What it takes: minutes, one line of what is done, one of what the figures rest on."""

    minutes: Range
    says: str
    rests_on: str = ""


def align_outlay(config: AlignConfig, tables: Mapping[str, Any], pairs: Path | None) -> AlignOutlay:
    """pairs: the sealed file of them, where it is there. UserError for a recipe that cannot be aligned."""
    check_recipe(config, tables)
    ahead = _ahead(config, tables, pairs)
    base, machine = tables["base"], machine_of(tables)
    parameters, shape = parameters_in(tables), shape_in(tables)
    if parameters is None:
        return AlignOutlay(NOTHING, f"{ahead.says}; the size of the base is not known here")
    if machine.gpu and shape:
        return _on_gpu(config, base, machine.gpu, shape, ahead)
    return _on_cpu(config, parameters, shape, ahead)


@dataclass(frozen=True)
class _Ahead:
    """steps: of one model; models: with the controls; trained, scored, drawn: tokens of all of them together."""

    says: str
    peft: bool
    hyper: Hyperparameters
    steps: int
    models: int
    trained: float
    scored: float
    drawn: float


def _ahead(config: AlignConfig, tables: Mapping[str, Any], pairs: Path | None) -> _Ahead:
    learned = max(2, _rows(config, tables, pairs) - config.held_out)
    peft = _adapter(config, tables)
    hyper = config.hyper(0, peft)
    groups = config.num_generations if config.is_online else 1
    answers = math.ceil(learned * hyper.num_train_epochs) * groups
    steps = hyper.max_steps or math.ceil(answers / hyper.rows_a_step)
    models = 1 + len(config.controlled)
    what = {"kto": "labelled answers"}.get(config.method, "pairs")
    if config.is_online:
        what = f"answers of its own ({config.num_generations} a prompt)"
    says = f"{config.method}, {steps:,} steps of {hyper.rows_a_step} {what}"
    if config.is_online and config.reward_model is None:
        says = f"a reward model on {learned:,} pairs, then {says}"
    if models > 1:
        says += f", {models} times (controls)"
    tokens = _tokens(config, learned, steps, hyper.rows_a_step, models)
    return _Ahead(says, peft, hyper, steps, models, *tokens)


def _on_gpu(
    config: AlignConfig, base: Any, gpu: Gpu, shape: Architecture, ahead: _Ahead
) -> AlignOutlay:
    method: Method = "lora" if ahead.peft else "full"
    width = ahead.hyper.per_device_train_batch_size
    flops = training_flops(shape.multiplied, ahead.trained, method)
    flops += training_flops(shape.multiplied, ahead.scored) / 3
    seconds = reached(gpu, flops, ahead.steps * ahead.models * shape.layers, 1.3)
    seconds += Range.about(ahead.drawn / width * shape.layers * _LAYER_SECONDS, 2)
    seconds += loading(shape.parameters, ahead.models + 2, True)
    needed = memory(
        shape,
        method,
        2 * width * min(config.max_length, 2 * _TOKENS_A_SIDE),
        dtype=base.dtype,
        rank=config.lora.r,
        targets=config.lora.target_modules,
        recompute=False,
    )
    beside = _beside(config, shape.parameters, base.dtype, ahead.peft)
    room = fit(gpu.name, gpu.memory_gib, needed)
    tight = "" if needed.total + beside < room.room else "; it does not fit"
    return AlignOutlay(
        seconds.times(1 / 60),
        f"{ahead.says}, on one {gpu.name}; {(needed.total + beside) / GB:.0f} GB of memory{tight}",
        "pairs of 2 x 130 tokens, the speed of train; drawing at a token and layer in 0.25 ms: not measured on a GPU yet",
    )


def _on_cpu(
    config: AlignConfig, parameters: float, shape: Architecture | None, ahead: _Ahead
) -> AlignOutlay:
    flop = parameters * (ahead.trained * (4 if ahead.peft else 6) + ahead.scored * 2)
    seconds = flop / _CPU_FLOPS + _START_SECONDS * (ahead.models + 1)
    at_once = min(8, ahead.hyper.rows_a_step)
    seconds += ahead.drawn / (_CPU_TOKENS * at_once) * parameters / _MEASURED_ON
    held = ""
    if shape:
        needed = memory_on_cpu(
            shape,
            "lora" if ahead.peft else "full",
            2 * 2 * _TOKENS_A_SIDE,
            rank=config.lora.r,
            targets=config.lora.target_modules,
        )
        beside = _beside(config, shape.parameters, "float32", ahead.peft)
        held = f"; {(needed.total + beside) / GB:.1f} GB of memory"
    return AlignOutlay(
        Range.about(seconds / 60, 2),
        f"{ahead.says}, on 2 CPU cores{held}",
        "pairs of 2 x 130 tokens; SmolLM2-135M on 2 CPU cores",
    )


def _beside(config: AlignConfig, parameters: float, dtype: str, peft: bool) -> float:
    """Bytes of models beside the one that is trained: the reward model, and without an adapter the reference."""
    if not config.is_online:
        return 0.0
    each = parameters * (4 if dtype == "float32" else 2)
    return each + (0.0 if peft or not config.strength else each)


def _tokens(
    config: AlignConfig, learned: int, steps: int, rows_a_step: int, models: int
) -> tuple[float, float, float]:
    """(trained on, only scored, drawn) by all models together."""
    sides = 1 if config.method == "kto" else 2
    if config.is_online:
        answers = steps * rows_a_step
        length = 60 + config.max_completion_length
        reward = 0.0
        if config.reward_model is None:
            pairs = (
                config.reward.max_steps * rows_a_step
                if config.reward.max_steps
                else learned * config.reward.num_train_epochs
            )
            reward = 2 * pairs * _TOKENS_A_SIDE
        measured = 2 * config.samples * config.num_generations
        drawn = (answers + measured) * config.max_completion_length
        return reward + answers * length, 3.0 * answers * length, drawn
    trained = steps * rows_a_step * sides * _TOKENS_A_SIDE
    scored = (learned + (models + 1) * config.held_out) * sides * _TOKENS_A_SIDE
    if config.method == "kto":
        scored += trained  # the answer that is read under another prompt
    drawn = 0 if config.method == "reward" else 2 * config.samples * config.max_completion_length
    return trained * models, scored, drawn


def _adapter(config: AlignConfig, tables: Mapping[str, Any]) -> bool:
    if config.use_peft is not None:
        return config.use_peft
    return getattr(tables.get("train"), "method", "lora") != "full"


def _rows(config: AlignConfig, tables: Mapping[str, Any], pairs: Path | None) -> int:
    if config.source:
        return rows_expected(config.source, split=config.split)
    if pairs is not None:
        with pairs.open("rb") as lines:
            return sum(1 for _ in lines)
    if "pairs" in tables:
        from alpaca_pipe.pairs.pairs_outlay import prompts_wanted

        return prompts_wanted(tables["pairs"], tables)
    return rows_to_train(tables, _ROWS)


def check_recipe(config: AlignConfig, tables: Mapping[str, Any]) -> None:
    if config.source and "pairs" in tables:
        raise UserError(
            "align: it reads 'from', so what pairs: makes would not be used",
            "remove one of them",
        )
    train = tables.get("train")
    if train is not None and getattr(train, "hosted", None):
        raise UserError(
            "align: the weights that train.hosted makes stay with the provider",
            "train here (remove train.hosted), or remove align:",
        )
    if config.reward_model and config.is_online:
        from alpaca_pipe.align.reward_model import check_head

        check_head(config.reward_model)
