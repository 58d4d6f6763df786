"""Whether there will be preferences enough to align on: said by the plan, before a tune is paid for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.align.config import PAIRS, ROWS, AlignConfig
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.preferences_ahead import Ahead, of_curated, of_source

_ADD = "add `pairs:` to the recipe, or name a file of chosen and rejected answers with align.from"


def preferences_ahead(
    config: AlignConfig, tables: Mapping[str, Any], inputs: Mapping[str, Path]
) -> Ahead:
    """inputs: files that it reads and that are sealed already. UserError where a file of preferences cannot be read."""
    if config.source:
        return of_source(config.source, config.columns, config.split, config.keep_going)
    if PAIRS in inputs:
        with inputs[PAIRS].open("rb") as lines:
            return Ahead(sum(1 for _ in lines), True)
    if (pairs := tables.get("pairs")) is not None:
        from alpaca_pipe.pairs.pairs_outlay import prompts_wanted

        return Ahead(prompts_wanted(pairs, tables), True)
    return of_curated(tables, inputs.get(ROWS))


def doubts(
    config: AlignConfig, tables: Mapping[str, Any], inputs: Mapping[str, Path]
) -> tuple[str, ...]:
    """What is to be feared of them. UserError where it is sure that nothing can be learned."""
    ahead = preferences_ahead(config, tables, inputs)
    if ahead.none:
        raise UserError(f"align: there will be no preferences to learn from: {ahead.none}", _ADD)
    if not ahead.pairs and config.method != "kto":
        raise UserError(
            f"align: the rows of align.from have one answer with a label, and method {config.method} compares two",
            "set align.method: kto, or bring rows of chosen and rejected answers",
        )
    learned = ahead.rows - config.held_out
    least, what = _least(config)
    cure = f"lower align.held_out, or bring more rows (up to {ahead.rows:,} are there)"
    if learned < least and (ahead.counted or learned + ahead.rows < least):
        raise UserError(
            f"align: of at most {ahead.rows:,} preferences {config.held_out} are to be held out, and {what}",
            cure,
        )
    drawn = "pairs" in tables and not config.source and PAIRS not in inputs
    expected = ahead.rows
    if drawn:
        from alpaca_pipe.pairs.pairs_outlay import A_PAIR

        expected = round(expected * A_PAIR)
    if expected - config.held_out < least:
        return (
            f"align.held_out: {config.held_out} of about {expected:,} preferences are to be held out, and {what} - lower it",
        )
    return ()


def _least(config: AlignConfig) -> tuple[int, str]:
    """How many preferences must be left to learn from, as a sentence too."""
    if not config.is_online:
        return 2, "2 are the least to learn from"
    groups = config.prompts_a_step
    return max(groups, 2), f"a step answers {groups} prompts"
