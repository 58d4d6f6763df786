"""[align] the tuned model is trained further on what is preferred to what: DPO, KTO, a reward model, RLOO, GRPO."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from alpaca_pipe.align.align_estimate import align_outlay
from alpaca_pipe.align.config import PAIRS, TRAINED, AlignConfig
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs, Outcome, Stage, StageContext
from alpaca_pipe.weights.base import GROWN


def estimate(config: AlignConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """UserError for a recipe that cannot be aligned."""
    from alpaca_pipe.align.rows_ahead import doubts

    found = align_outlay(config, tables, known.inputs.get(PAIRS))
    notes = tuple(f"align.{key} is not used by method {config.method}" for key in config.unused)
    notes += doubts(config, tables, known.inputs)
    return Estimate(found.minutes, found.says, found.rests_on, notes=notes)


def run(config: AlignConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    if find_spec("trl") is None:
        raise UserError(
            "align: it needs the extra 'train', which is not installed",
            "pip install 'alpaca-pipe[train]'",
        )
    from alpaca_pipe.align.run import align
    from alpaca_pipe.models.out_of_room import room

    with room("align", context.folder, _OUT_OF_MEMORY):
        return align(config, context)


_OUT_OF_MEMORY = (
    "lower align.per_device_train_batch_size (and raise gradient_accumulation_steps), "
    "align.max_length or align.max_completion_length"
)

STAGE = Stage(
    "align",
    version=6,  # 3: the control of dpo learned from rows in their true order; verdict by sign tests; 4: what was cut off has no end; 5: one vote a prompt, ties half; 6: answers are read in parts, by the arithmetic of train
    config=AlignConfig,
    reads=(f"{TRAINED}?", f"{GROWN}?"),
    uses=("base", "seed"),
    estimate=estimate,
    run=run,
    on_gpu=True,
)
