"""What [pairs] will take: answers drawn here or bought, and judgements bought; in requests, tokens, money and minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.data.source_size import rows_expected, rows_to_train
from alpaca_pipe.evaluate.judge.judge_config import outlay
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.models.architecture import parameters_in, shape_in
from alpaca_pipe.models.drawn_answers import prompts_at_once
from alpaca_pipe.models.fit import GB
from alpaca_pipe.pairs.config import PairsConfig
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.outlay import outlay_of

_PROMPT_TOKENS = 40  # of a task and its input, the released 52K
_CPU_STEP = 0.2  # seconds for a token of each of 32 answers, by 135M parameters on 2 cores
A_PAIR = 0.8  # of a prompt that is answered: the others are ties
_MEASURED_ON = 135e6
_LAYER_SECONDS = 0.25e-3  # of a GPU, for each layer and token that is drawn


@dataclass(frozen=True)
class PairsOutlay:
    """What it takes, before it is known; api: nano-dollars."""

    minutes: Range
    says: str
    rests_on: str = ""
    requests: Range = NOTHING
    tokens_in: Range = NOTHING
    tokens_out: Range = NOTHING
    api: Range = NOTHING
    pairs: Range = NOTHING


def pairs_outlay(
    config: PairsConfig,
    tables: Mapping[str, Any],
    ledger: Path | None,
    sealed: Path | None = None,
) -> PairsOutlay:
    """sealed: the curated rows, where they are there. UserError where rows are to have kept a worse answer and have none, where
    no model is named that answers, or a teacher or judge has no price or is past its end."""
    rows = prompts_wanted(config, tables)
    if config.answers == "kept":
        _check_kept(config, tables, sealed)
        return PairsOutlay(
            Range.about(0.02, 2),
            f"the pairs that up to {rows:,} rows kept",
            pairs=Range.about(rows, 2),
        )
    each = config.num_generations
    says = f"{each} answers to each of {rows:,} prompts by "
    if config.teacher is not None:
        found = _bought(
            config, config.teacher, rows * each, f"{says}{config.teacher.called}", ledger
        )
    else:
        found = _drawn(config, tables, rows, f"{says}the tuned model")
    judged_by = "rules" if config.judge is None else config.judge.teacher.called
    says = f"{found.says}, compared by {judged_by}"
    pairs = Range.about(A_PAIR * rows, 1.3)
    if config.judge is None:
        return PairsOutlay(
            found.minutes,
            says,
            found.rests_on,
            found.requests,
            found.tokens_in,
            found.tokens_out,
            found.api,
            pairs,
        )
    how = config.judge.judging().model_copy(update={"answer_tokens": config.max_completion_length})
    paid = outlay(how, rows * each * (each - 1) // 2, ledger)
    return PairsOutlay(
        found.minutes + paid.minutes,
        says,
        f"{found.rests_on}; judgements: every two answers twice, stored replies not counted off",
        found.requests + paid.requests,
        found.tokens_in + paid.tokens_in,
        found.tokens_out + paid.tokens_out,
        found.api + paid.api,
        pairs,
    )


def _check_kept(config: PairsConfig, tables: Mapping[str, Any], sealed: Path | None) -> None:
    from alpaca_pipe.data.preferences_ahead import of_curated, of_source

    if config.source:
        ahead = of_source(config.source, config.columns, config.split, config.keep_going)
    else:
        ahead = of_curated(tables, sealed)
    if ahead.none:
        raise UserError(
            f"pairs: no pair can be made of what rows kept: {ahead.none}",
            "set pairs.answers: tuned or teacher, or name a file of chosen and rejected answers with pairs.from",
        )


def _bought(
    config: PairsConfig, teacher: TeacherTable, answers: int, says: str, ledger: Path | None
) -> PairsOutlay:
    if teacher.speaks != "chat":
        raise UserError(
            "pairs.teacher: it is asked in chat, and this one only completes texts",
            "use kind: openai_chat, or dialect: chat",
        )
    out = min(config.max_completion_length, 200)
    paid = outlay_of(teacher, answers, _PROMPT_TOKENS, out, ledger)
    return PairsOutlay(
        paid.minutes,
        says,
        f"prompts of {_PROMPT_TOKENS} tokens, answers of {out}; stored replies not counted off",
        paid.requests,
        paid.tokens_in,
        paid.tokens_out,
        paid.api,
    )


def _drawn(config: PairsConfig, tables: Mapping[str, Any], rows: int, says: str) -> PairsOutlay:
    base, machine = tables.get("base"), machine_of(tables)
    if base is None:
        raise UserError(
            "pairs: no model is named that answers", "add `base:`, or set pairs.teacher"
        )
    batches = math.ceil(rows / prompts_at_once(config.num_generations))
    steps = batches * config.max_completion_length
    shape = shape_in(tables)
    if machine.gpu and shape:
        seconds = steps * shape.layers * _LAYER_SECONDS
        held = shape.parameters * 2 / GB
        return PairsOutlay(
            Range.about(seconds / 60 + 0.5, 2),
            f"{says} on one {machine.gpu.name} ({held:.0f} GB of weights)",
            "a token and layer in 0.25 ms: not measured on a GPU yet",
        )
    parameters = parameters_in(tables) or _MEASURED_ON
    seconds = steps * _CPU_STEP * parameters / _MEASURED_ON
    return PairsOutlay(
        Range.about(seconds / 60 + 0.2, 2),
        f"{says} on 2 CPU cores",
        "SmolLM2-135M on 2 CPU cores, every answer as long as it may be",
    )


def prompts_wanted(config: PairsConfig, tables: Mapping[str, Any]) -> int:
    """Of `count`, as many as there will be rows."""
    if config.source:
        return min(config.count, rows_expected(config.source, split=config.split))
    return min(config.count, rows_to_train(tables, config.count))
