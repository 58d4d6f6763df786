"""[curate] keeps the examples that no filter drops and which are not told twice; holds some of them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.curate.config import GENERATED, CurateConfig
from alpaca_pipe.curate.grading.config import outlay
from alpaca_pipe.curate.pieces import check_counted
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.source_size import rows_expected
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageContext,
)


def estimate(config: CurateConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    if (
        not config.held_out
        and (reader := next((kind for kind in ("evaluate", "export") if kind in tables), ""))
        and "train" in tables
    ):
        raise UserError(
            f"curate: no row is held out, and {reader} measures the tuned model on such rows",
            "set curate.held_out above 0",
        )
    careful = ""
    check_counted(config.split_long, tables, config.source is not None)
    if config.source:
        if "generate" in tables:
            raise UserError(
                "curate: it reads 'from', so what generate: makes would be paid for and not used",
                "remove one of them",
            )
        if isinstance(config.source, Path):
            from alpaca_pipe.curate.input_peek import check_columns, check_held_out

            check_columns(config.source, config.columns)
            if config.split_long is None:  # else a row can become several
                careful = check_held_out(config.source, config.held_out, config.first)
        rows = rows_expected(config.source, config.first, config.split)
    else:
        rows = getattr(tables.get("generate"), "count", 0)
        if rows and config.held_out >= _most_rows(tables["generate"]):
            raise UserError(
                f"curate.held_out: {config.held_out} would leave none to train on of the {rows} rows that generate.count asks for",
                "lower curate.held_out, or raise generate.count",
            )
    rows = min(rows, config.first or rows)
    filters = len(config.filters.active())
    guessed = isinstance(config.source, HubId) and rows != config.first
    plain = Estimate(
        Range.about(_START_MINUTES + rows * _MINUTES_A_ROW, 2),
        f"{'assumed, for it is not fetched yet: ' if guessed else 'about '}{rows:,} rows past {filters} filters and a search for duplicates (likeness above "
        f"{config.likeness}); {config.held_out} held out",
        "the released 52K, measured on one CPU core",
        (careful,) if careful else (),
    )
    if not config.grade:
        return plain
    paid = outlay(
        config.grade,
        tables.get("teacher"),
        rows,
        known.workspace and known.workspace / "ledger.sqlite",
    )
    return replace(
        plain,
        minutes=plain.minutes + paid.minutes,
        requests=paid.requests,
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        api=paid.api,
        says=f"{plain.says}; {config.grade.dimension} graded by {config.grade.asked_of(tables.get('teacher')).called}",
        rests_on=f"{plain.rests_on}; grades: every row asked about, tokens of the released 52K, stored replies not counted off",
    )


_START_MINUTES = 0.05  # importing datasets
_MINUTES_A_ROW = 8e-6  # the released 52K took 26 s on one core of a busy machine, 2026-11


def _most_rows(generate: Any) -> int:
    """The last round is kept whole, so a few rows may become many."""
    a_round = getattr(generate, "round_size", 0) * getattr(generate, "tasks", 1)
    return int(generate.count + a_round)


def run(config: CurateConfig, context: StageContext) -> Outcome:
    """See run.py, which is loaded by a run alone: a plan has no use for it."""
    from alpaca_pipe.core.collector import collected_seldom
    from alpaca_pipe.curate.run import curate

    with collected_seldom():
        return curate(config, context)


STAGE = Stage(
    "curate",
    version=7,
    config=CurateConfig,
    reads=(f"{GENERATED}?",),
    uses=("teacher?",),
    estimate=estimate,
    run=run,
)
