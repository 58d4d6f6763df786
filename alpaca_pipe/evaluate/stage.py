"""[evaluate] is the tuned model better than the base, and is that more than form?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.evaluate.config import ALIGNED, CHOSEN_ON, SFT, SHUFFLED, TUNED, EvaluateConfig
from alpaca_pipe.evaluate.judge.judge_config import Judging, outlay
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.models.architecture import parameters_in, shape_in
from alpaca_pipe.models.fit import training_flops
from alpaca_pipe.models.speed import loading, reached
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageContext,
)
from alpaca_pipe.weights.base import GROWN, TINY


def run(config: EvaluateConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.evaluate.run import evaluate
    from alpaca_pipe.models.out_of_room import room

    with room("evaluate", context.folder, _OUT_OF_MEMORY):
        return evaluate(config, context)


def prove(config: EvaluateConfig, tables: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Files and programs that are used last are there and can be read, before anything is paid."""
    if config.foreign:
        from alpaca_pipe.evaluate.foreign_rows import foreign_rows

        foreign_rows(config.foreign, config.rows)
    if config.judge:
        _prove_judge(config.judge)
    if config.lm_eval:
        from alpaca_pipe.evaluate.lm_eval_harness import python_of_lm_eval

        python_of_lm_eval()


def _prove_judge(how: Judging) -> None:
    """Whom to ask, the prompts, and that ratings are ratings: of prompts of a file also that they are of these."""
    from alpaca_pipe.evaluate.judge.prompt_sets import read_prompts
    from alpaca_pipe.evaluate.judge.rating_page import ratings_in

    how.check()
    prompts = read_prompts(how.prompts, how.count) if how.prompts else None
    known = {one.id for one in prompts or ()}
    for id, _, _ in ratings_in(how.ratings) if how.ratings else ():
        if prompts is not None and id not in known:
            raise UserError(
                f"evaluate.judge.ratings: it rates the prompt {id!r}, which is not among the {len(prompts)} that are judged",
                "save it from rating.html of a run on the same prompts, or leave evaluate.judge.ratings out",
            )


_OUT_OF_MEMORY = "lower evaluate.batch_tokens, or close what else runs on this machine"


def estimate(config: EvaluateConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """With what the judge takes, where there is one."""
    plain = _without_judge(config, tables)
    how = config.judge
    if how is None:
        return plain
    prompts, turns = _prompts(how, tables)
    if how.question:
        from alpaca_pipe.evaluate.judge.own_question import OwnQuestion

        OwnQuestion(how.question, how.mode).prove(several_turns=turns > prompts)
    paid = outlay(how, turns, known.workspace and known.workspace / "ledger.sqlite")
    return replace(
        plain,
        minutes=plain.minutes + paid.minutes,
        requests=paid.requests,
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        api=paid.api,
        says=f"{plain.says}; answers to {prompts} prompts judged by {how.teacher.called}",
        rests_on=f"{plain.rests_on}; judgements: every turn twice, stored replies not counted off",
    )


def _prompts(how: Judging, tables: Mapping[str, Any]) -> tuple[int, int]:
    """(prompts, their turns)."""
    if how.prompts is None:
        rows = min(how.count, getattr(tables.get("curate"), "held_out", how.count))
        return rows, rows
    from alpaca_pipe.evaluate.judge.prompt_sets import read_prompts

    found = read_prompts(how.prompts, how.count)
    return len(found), sum(len(one.turns) for one in found)


def _without_judge(config: EvaluateConfig, tables: Mapping[str, Any]) -> Estimate:
    rows, base, machine = (
        min(config.rows, getattr(tables.get("curate"), "held_out", config.rows)),
        tables.get("base"),
        machine_of(tables),
    )
    foreign = config.rows if config.foreign else 0
    says = f"{rows} held-out rows x 4 models and 2 x {config.samples} answers to read"
    if foreign:
        says = f"{rows} held-out and {foreign} foreign rows x 4 models and 2 x {config.samples} answers to read"
    many, small = _beside_the_loss(config, rows)
    scored_rows = rows + foreign
    if many:
        says += f", 2 x {many} answers to be checked"
    if small:
        says += ", small questions to both"
    if getattr(base, "model", None) == TINY:
        return Estimate(Range.about(0.1, 2), f"{rows} held-out rows x 4 models, on a tiny model")
    shape = shape_in(tables)
    if machine.gpu and shape:
        steps = config.samples * config.max_new_tokens + config.answer_tokens * many / _AT_ONCE
        answers = 2 * steps * shape.layers * _LAYER_SECONDS
        scored = (
            training_flops(shape.multiplied, 4 * scored_rows * _TOKENS_A_ROW) / 3
        )  # forward only
        seconds = reached(machine.gpu, scored, 4 * scored_rows * shape.layers / 8) + loading(
            shape.parameters, 3, True
        )
        minutes = (seconds + Range.about(answers, 2)).times(1 / 60)
        return Estimate(
            minutes,
            f"{says}, on one {machine.gpu.name}",
            "the same share of the datasheet's rate as in train; not measured on a GPU yet",
        )
    size = parameters_in(tables) or _MEASURED_ON
    seconds_cpu = (
        (
            3 * _LOAD_SECONDS
            + (4 * scored_rows + small) * _ROW_SECONDS
            + 2 * many * config.answer_tokens * _BATCHED_SECONDS
            + 2 * config.samples * config.max_new_tokens * _TOKEN_SECONDS
        )
        * size
        / _MEASURED_ON
    )
    minutes = Range.about(seconds_cpu / 60, 2)
    return Estimate(minutes, says, "SmolLM2-135M measured on 2 CPU cores")


def _beside_the_loss(config: EvaluateConfig, rows: int) -> tuple[int, int]:
    """(answers of each of two models, sequences that each scores for small questions)."""
    judged = min(config.judge.count, 1000) if config.judge else 0
    declined = _REQUESTS if config.refusals else 0
    return config.rules + min(
        config.habits, rows
    ) + declined + judged, _SMALL if config.forgetting else 0


# SmolLM2-135M in fp32 on 2 cores, 2026-11
_MEASURED_ON = 135e6
_LOAD_SECONDS = 3.0
_ROW_SECONDS = 0.2  # of about 120 tokens
_TOKEN_SECONDS = 0.05  # four answers at once
_SMALL = 960  # 120 questions, four answers, two wordings, each a third of a row
_REQUESTS = 72  # lines of refusals/prompts.jsonl
_BATCHED_SECONDS = 0.012  # a token of one of many answers
_AT_ONCE = 32  # of these
_TOKENS_A_ROW = 130
_LAYER_SECONDS = (
    0.25e-3  # for each token of an answer and each layer: what a GPU's kernels take to start
)

STAGE = Stage(
    "evaluate",
    version=5,
    config=EvaluateConfig,
    run=run,
    estimate=estimate,
    reads=(
        "curate/held_out.jsonl",
        TUNED,
        f"{ALIGNED}?",
        f"{SHUFFLED}?",
        f"{SFT}?",
        f"{CHOSEN_ON}?",
        f"{GROWN}?",
    ),
    uses=("base", "seed"),
    on_gpu=True,
    prove=prove,
)
