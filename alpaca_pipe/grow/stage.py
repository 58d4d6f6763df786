"""[grow] makes a larger model from the base, before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.grow.config import DRAWN_TOKENS, GrowConfig
from alpaca_pipe.models.architecture import Architecture, shape_of
from alpaca_pipe.models.fit import GB, training_flops
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs, Outcome, Stage, StageContext


def run(config: GrowConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.grow.run import grow
    from alpaca_pipe.models.out_of_room import room

    with room("grow", context.folder, _OUT_OF_MEMORY):
        return grow(config, context)


_OUT_OF_MEMORY = (
    "close what else runs on this machine: base and grown model are compared in float64"
)


def estimate(config: GrowConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """UserError for a shape that cannot be made of the base."""
    base = tables.get("base")
    if base is None:
        raise UserError("grow: there is no base to grow", "add 'base:' to the recipe")
    if config.reads_texts and "texts" not in tables:
        what = "ligo" if "ligo" in config.methods else "base_steps"
        raise UserError(
            f"grow: {what} learns on plain texts, and the recipe names none",
            "add `texts: {from: my-texts/}`; `own` is this program's own source",
        )
    before = shape_of(base)
    if before is None:
        return Estimate(
            Range.about(0.2, 2), "the shape of the base is not known here, so neither is its growth"
        )
    after = config.grown(before)
    many = len(config.methods)
    memory = _MEMORY * (before.parameters + after.parameters) + _PROCESS
    compared = config.max_length if "texts" in tables else DRAWN_TOKENS
    flops = 2 * config.check_rows * compared * (before.multiplied + after.multiplied)
    tokens = config.per_device_train_batch_size * config.max_length
    learned = config.base_steps * training_flops(before.multiplied, tokens)
    if "ligo" in config.methods:
        learned += _OF_MAP * config.steps * training_flops(after.multiplied, tokens)
    seconds = learned / _LEARNED + _START + many * (after.parameters * _A_WEIGHT + flops / _FLOPS)
    others = f", and by {', '.join(config.beside)} beside it" * bool(config.beside)
    return Estimate(
        Range.about(seconds / 60, 2),
        f"{config.method}: {sizes(before)} to {sizes(after)}, {before.parameters / 1e6:.4g}M to {after.parameters / 1e6:.4g}M "
        f"parameters{others}; {memory / GB:.1f} GB of memory, {4 * many * after.parameters / GB:.2f} GB of disk",
        "the CPU copies and compares; measured on 2 CPU cores",
        notes=("the shape of the base is guessed from its size",) * before.guessed,
    )


def sizes(shape: Architecture) -> str:
    return f"{shape.layers:g} layers of {shape.hidden:g} / {shape.feed_forward:g}, {shape.heads:g} heads ({shape.kv_heads:g} of keys)"


_MEMORY = 12  # bytes a parameter: float32 in the making, float64 while it is compared
_PROCESS = 0.6 * GB
_START = 6.0  # seconds, imports and the base
_A_WEIGHT = 40e-9  # seconds, to make and to save
_FLOPS = 30e9  # a second in float64 on 2 cores
_OF_MAP = 2.0  # what a step of the map takes, beside one of the weights
_LEARNED = 40e9  # operations a second in float32 on 2 cores, of models this small

STAGE = Stage(
    "grow",
    version=3,
    config=GrowConfig,
    run=run,
    estimate=estimate,
    uses=("base", "seed", "texts?"),
)
