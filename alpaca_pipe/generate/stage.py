"""[generate] asks a teacher for examples like the seeds, until enough are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.generate.config import VERSION, GenerateConfig
from alpaca_pipe.generate.forecast.estimate import expected
from alpaca_pipe.generate.forecast.history import Past, past_of
from alpaca_pipe.generate.forecast.workload import order_of, prior_of
from alpaca_pipe.generate.prompts.starting_pool import extended_of, grounds_of, known_of, seating_of
from alpaca_pipe.generate.seeds.seed_file import still_the_templates
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.generate.styles.base import Style
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageContext,
)
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end


def estimate(config: GenerateConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """Reads the seeds too, so that their errors are told before anything is sent."""
    teacher: TeacherTable = tables["teacher"]
    style, rows = style_of(config, teacher, _STRUCTURED), extended_of(config)
    grounds = grounds_of(config, style)
    if teacher.speaks not in style.dialects:
        raise UserError(
            f"generate: style {config.style} asks in chat, and this teacher only completes texts",
            "use kind: openai_chat, or dialect: chat; style alpaca-2023 asks in either way",
        )
    seating, known_rows = (
        seating_of(config, style, tables["seed"], grounds),
        len(known_of(config, style, grounds, rows)),
    )
    order = order_of(seating, teacher, teacher.priced(), known_rows, config.limits, len(rows))
    before = (
        past_of(
            config,
            teacher,
            tables["seed"],
            known.workspace / "store",
            known.workspace / "ledger.sqlite",
        )
        if known.workspace
        else Past()
    )
    refuse_past_its_end(teacher, known.workspace and known.workspace / "ledger.sqlite")
    forecast, says, rests_on, notes = expected(order, prior_of(style, teacher), before)
    figures = {
        name: forecast.range(name)
        for name in ("minutes", "requests", "tokens_in", "tokens_out", "rows")
    }
    left = len(still_the_templates(seating.seeds))
    shows = f"{config.shown} of {len(seating.seeds)} seeds in each prompt, " if style.seeded else ""
    have = f"{len(rows):,} rows extended, " if rows else ""
    have += (
        f"{len(grounds):,} {'passages' if config.documents else 'rows'} to work on, "
        if grounds
        else ""
    )
    return Estimate(
        says=f"style {style.name}, {have}{shows}{says}",
        rests_on=rests_on,
        notes=(
            *([f"{left} of {len(seating.seeds)} seeds are still the template's"] if left else []),
            *_own_words(config, style),
            *notes,
        ),
        api=forecast.range("dollars"),
        **figures,
    )


def _own_words(config: GenerateConfig, style: Style) -> Sequence[str]:
    if config.prompt is None:
        return ()
    from alpaca_pipe.generate.own_prompt import how_it_ends

    return how_it_ends(style, config.prompt)


_STRUCTURED = frozenset({"response_format"})  # what a style adds to a prompt where it can


def run(config: GenerateConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.generate.run import generate

    return generate(config, context)


STAGE = Stage(
    "generate",
    version=VERSION,
    config=GenerateConfig,
    uses=("teacher", "budget", "seed"),
    estimate=estimate,
    run=run,
)
