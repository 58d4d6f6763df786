"""[pairs] preference rows: answers to one prompt compared by a judge or by rules, or rows that kept a worse answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.pairs.config import ROWS, PairsConfig
from alpaca_pipe.pairs.pairs_outlay import pairs_outlay
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs, Outcome, Stage, StageContext


def run(config: PairsConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.models.out_of_room import room
    from alpaca_pipe.pairs.run import pairs

    with room("pairs", context.folder, _OUT_OF_MEMORY):
        return pairs(config, context)


_OUT_OF_MEMORY = "lower pairs.num_generations or pairs.max_completion_length"


def estimate(config: PairsConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """UserError for a recipe whose pairs cannot be made."""
    ledger = known.workspace and known.workspace / "ledger.sqlite"
    found = pairs_outlay(config, tables, ledger, known.inputs.get(ROWS))
    return Estimate(
        found.minutes,
        found.says,
        found.rests_on,
        requests=found.requests,
        tokens_in=found.tokens_in,
        tokens_out=found.tokens_out,
        api=found.api,
        rows=found.pairs,
    )


STAGE = Stage(
    "pairs",
    version=2,
    config=PairsConfig,
    uses=("base?", "seed"),
    estimate=estimate,
    run=run,
    on_gpu=True,
)
