"""What evaluation on the way will take, and what is wrong with it before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.train.config import TrainConfig

_BY_DOLLARS = 10  # evaluations, where dollars say how often: a plan knows no seconds of a step
_JUDGED_BY = 12  # rows, the least that evaluate says something about (evaluate/verdict.py)


def steps_between(config: TrainConfig, total: int, per_epoch: int) -> int | None:
    """Steps from one evaluation to the next; None: by dollars. total: all steps; an eval_steps below 1 is its share."""
    if config.eval_strategy == "usd":
        return None
    if config.eval_strategy == "epoch":
        return per_epoch
    return math.ceil(config.eval_steps * total) if config.eval_steps < 1 else int(config.eval_steps)


def rows_scored(config: TrainConfig, held_out: int) -> int:
    """At one evaluation on the way. What chooses a checkpoint cannot judge it afterwards: half of the rows are left for that."""
    return min(config.max_eval_samples, held_out // 2 if config.keeps_best else held_out)


def rows_read(config: TrainConfig, held_out: int, total: int, per_epoch: int) -> int:
    """By all evaluations of one tune together; 0 where there are none."""
    if config.eval_strategy == "no":
        return 0
    every = steps_between(config, total, per_epoch)
    times = math.ceil(total / every) if every else _BY_DOLLARS
    return times * rows_scored(config, held_out)


def check_midway(config: TrainConfig, tables: Mapping[str, Any], per_hour: int) -> None:
    """UserError for what the recipe alone shows to be wrong."""
    held_out = getattr(tables.get("curate"), "held_out", None)
    if held_out is not None and not rows_scored(config, held_out):
        raise UserError(
            f"train.eval_strategy: {held_out} rows are held out, so none can be scored on the way",
            "set curate.held_out: 64, or train.eval_strategy: no",
        )
    check_billed(config, per_hour)


def check_billed(config: TrainConfig, per_hour: int) -> None:
    """UserError where dollars are asked for and no time costs any."""
    if config.eval_strategy == "usd" and not per_hour:
        raise UserError(
            "train.eval_every_usd: no time of this machine costs anything, so no dollar is ever reached",
            "write what it costs (gpu.per_hour: 1.20), or set train.eval_strategy: steps",
        )


def _unused(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """Keys that are given and read by nothing, and beside what."""
    strategy, given = config.eval_strategy, config.model_fields_set
    for name, of in (("eval_steps", "steps"), ("eval_every_usd", "usd")):
        if name in given and strategy != of:
            yield name, f"beside eval_strategy: {strategy}"
    if config.early_stopping_threshold and config.early_stopping_patience is None:
        yield "early_stopping_threshold", "without early_stopping_patience"


def midway_notes(config: TrainConfig, tables: Mapping[str, Any]) -> Iterator[str]:
    for name, beside in _unused(config):
        yield f"train.{name} is not used {beside}"
    held_out = getattr(tables.get("curate"), "held_out", None)
    if held_out is None or not config.keeps_best:
        return
    choosing = rows_scored(config, held_out)
    if "evaluate" in tables and held_out - choosing < _JUDGED_BY:
        yield (
            f"{choosing} of {held_out} held-out rows choose the checkpoint, so evaluate scores the other "
            f"{held_out - choosing}, and {_JUDGED_BY} are the least that it says something about: raise curate.held_out"
        )
