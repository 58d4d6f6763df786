"""[train] tunes the base on the curated rows, and a control on the same rows with the answers exchanged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.today import today
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.source_size import rows_to_train
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import Machine, idle_gpus, machine_of
from alpaca_pipe.ledger.pricing.token_prices import OLD
from alpaca_pipe.models.architecture import has_weights, parameters_in, shape_in
from alpaca_pipe.models.fit import GB
from alpaca_pipe.models.own_template import template_of
from alpaca_pipe.models.run_as_base import check_own_run, goes_on_from
from alpaca_pipe.models.speed import PUBLISHED
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageContext,
)
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.config import OF_EVALUATION, ROWS, TrainConfig, check, conversations_refused
from alpaca_pipe.train.cost_estimate import BYTES_A_TOKEN, OPENING, Job, Lengths, lengths
from alpaca_pipe.train.hosted_config import check_hosted
from alpaca_pipe.train.packages import missing_packages
from alpaca_pipe.train.reading_cost import reading_of
from alpaca_pipe.weights.base import GROWN, BaseTable


def run(config: TrainConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.models.out_of_room import room
    from alpaca_pipe.train.job import OUT_OF_MEMORY
    from alpaca_pipe.train.run import train

    with room("train", context.folder, OUT_OF_MEMORY):
        return train(config, context)


def prove(config: TrainConfig, tables: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """The base is opened, before anything is paid."""
    if config.hosted:
        return  # the base is the provider's
    from alpaca_pipe.train.run import open_base

    open_base(config, tables["base"], say)


def estimate(config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    """UserError for a recipe that cannot be trained."""
    base: BaseTable | None = tables.get("base")
    if config.hosted:
        return hosted_estimate(config, tables, known)
    if base:
        check(config, base)
        check_own_run(base, known.recipe)
    check_texts(config, tables)
    if config.source:
        return _taken(config)
    length, machine, job = (
        _lengths(config, tables, known),
        machine_of(tables),
        job_of(config, tables, known),
    )
    if config.processes > 1 and not machine.gpu and not machine.says:
        from alpaca_pipe.train.cores import check_cores

        check_cores(config.processes)
    _refuse_conversations(config, tables, length)
    rows = length.rows or rows_to_train(tables)
    tunes = tunes_of(config, tables)
    steps = config.hyper(0).steps(rows)
    batch = min(rows, config.hyper(0).rows_a_step)
    reading = reading_of(config, base, rows * length.mean)
    says = f"{config.method}, {steps:,} steps of {batch} rows{_again(config, tunes)}{reading.says}"
    if earlier := goes_on_from(base):
        says = f"continues from the {earlier.form} of {earlier.run}: {says}"
    measured = f"rows of {length.mean:.0f} tokens{_whose(config, length)}"
    scored, more = _on_the_way(config, tables, machine, steps, rows)
    scored *= length.mean * tunes
    notes = (*_notes(config, base, tables.get("gpu")), *more, *reading.notes(machine.gpu))
    if base and job and machine.gpu:
        fit = job.on(machine.gpu)
        minutes = job.minutes(machine.gpu, has_weights(base)) + job.scoring(machine.gpu, scored)
        minutes += reading.minutes(job, machine.gpu)
        again = job.chosen(machine.gpu).recompute is True
        tight = ", activations computed again" * again + ("" if fit.fits else f"; {fit}")
        return Estimate(
            minutes,
            f"{says}, on {_how_many(config.processes)} {machine.gpu.name}{tight}{_disk(job)}",
            f"{measured}{_shared(job)}; {PUBLISHED}{'; the shape of the base is guessed from its size' * job.shape.guessed}",
            notes=notes,
        )
    parameters = parameters_in(tables)
    if parameters is None:
        return Estimate(
            NOTHING,
            f"{says}; the size of the base is not known here, so neither are the minutes",
            notes=notes,
        )
    tokens = steps * batch * length.mean * tunes
    flop = tokens * parameters * _FLOP[config.method] + scored * parameters * 2 + reading.flop
    seconds = _START_SECONDS * tunes + flop / _CPU_FLOPS
    minutes = Range.about(seconds / 60, 2)
    return Estimate(
        minutes,
        f"{says}, on 2 CPU cores{_memory(job)}",
        f"{measured}; SmolLM2-135M measured on 2 CPU cores",
        notes=(*notes, *_without_gpu(minutes, machine)),
    )


_TAKEN_WITH = frozenset({"source", "method", "template", "max_length", "control"})


def _taken(config: TrainConfig) -> Estimate:
    """Of what was tuned elsewhere. UserError for a folder that holds no model."""
    from alpaca_pipe.train.tuned_elsewhere import check_kind

    assert config.source is not None
    check_kind(config, config.source)
    idle = sorted(config.model_fields_set - _TAKEN_WITH)
    notes = (
        (f"nothing is trained, so these keys of train have no effect: {', '.join(idle)}",)
        if idle
        else ()
    )
    return Estimate(
        Range.about(0.3, 3),
        f"{config.method}, tuned elsewhere: {config.source} is taken as it is",
        notes=notes,
    )


def _without_gpu(minutes: Range, machine: Machine) -> Iterator[str]:
    if minutes.p50 > _LONG_ON_CPU:
        why = (
            "no datasheet of the GPU is held"
            if machine.says
            else "no GPU is found here and none is named"
        )
        yield (
            f"{why}, so this is what 2 CPU cores would take: plan it for a GPU with gpu.name (H200, "
            "A100-80, RTX4090 ...)"
        )


def _on_the_way(
    config: TrainConfig, tables: Mapping[str, Any], machine: Machine, steps: int, rows: int
) -> tuple[float, tuple[str, ...]]:
    """Rows that one tune scores on the way, and what is doubtful about it. UserError for what cannot be."""
    if config.eval_strategy == "no":
        return 0.0, tuple(
            f"train.{name} is not used beside eval_strategy: no"
            for name in sorted(config.model_fields_set & OF_EVALUATION)
        )
    from alpaca_pipe.train.midway_cost import check_midway, midway_notes, rows_read

    check_midway(config, tables, machine.per_hour if not machine.unpriced else 1)
    held_out = getattr(tables.get("curate"), "held_out", config.max_eval_samples)
    per_epoch = math.ceil(rows / config.hyper(0).rows_a_step)
    return rows_read(config, held_out, steps, per_epoch), tuple(midway_notes(config, tables))


def hosted_estimate(
    config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs
) -> Estimate:
    """By the provider's price a token. UserError for what it is not told, and where nobody says what it costs."""
    from alpaca_pipe.train.hosted.tune_there import rate_of_tune, tuning_of

    check_hosted(config, tables)
    assert config.hosted is not None
    base: BaseTable | None = tables.get("base")
    wanted = tuning_of(config, base)
    rate, length = rate_of_tune(config.hosted, wanted, base), lengths(known.inputs.get(ROWS))
    rows = length.rows or rows_to_train(tables)
    tokens = rows * length.mean * wanted.epochs
    money = Range(
        *(rate.nanodollars(tokens * factor) for factor in (1 / length.spread, 1, length.spread))
    )
    age = (today() - rate.checked).days
    return Estimate(
        Range.about(60, 3),
        f"{config.method} of {wanted.model} at {config.hosted.provider}, {rows:,} rows, {wanted.epochs} epochs: "
        f"${rate.per_million:f} a million tokens (checked {age} days ago)",
        f"rows of {length.mean:.0f} tokens; the provider's own queue is not known",
        gpu=money,
        notes=("the weights stay with the provider, and its own chat template is used",)
        + ((f"that price was last checked {age} days ago ({rate.source})",) if age > OLD else ()),
    )


def _how_many(processes: int) -> str:
    return "one" if processes == 1 else f"{processes} x"


def _disk(job: Job) -> str:
    return f"; {job.disk / GB:.0f} GB of disk while it runs" if job.disk > GB else ""


def _memory(job: Job | None) -> str:
    """Of a tune on a CPU; nothing of the tiny stand-in and of a base whose shape nobody knows."""
    each = " a process" if job and job.processes > 1 else ""
    return f"; {job.on_cpu.total / GB:.1f} GB of memory{each}{_disk(job)}" if job else ""


def job_of(config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Job | None:
    """The stage's work by the shape of its base; None where that is not known, and for the tiny stand-in."""
    base: BaseTable | None = tables.get("base")
    shape = shape_in(tables)
    if base is None or shape is None:
        return None
    length = _lengths(config, tables, known)
    rows = length.rows or rows_to_train(tables)
    step = min(rows, config.hyper(0).rows_a_step)
    trained = config.max_steps * step if config.max_steps else rows * config.num_train_epochs
    at_once = min(rows, config.per_device_train_batch_size)
    return Job(
        shape,
        config.method,
        base.dtype,
        config.lora.r,
        config.lora.target_modules,
        at_once,
        config.max_length,
        length,
        trained * length.mean,
        trained / at_once,
        tunes_of(config, tables),
        OPENING if _opens(config) else 0.0,
        config.processes,
        config.gradient_checkpointing,
        config.split,
        step == at_once,
    )


def check_texts(config: TrainConfig, tables: Mapping[str, Any]) -> None:
    """UserError where the objective and the recipe's other tables do not go together."""
    if config.objective == "pretrain":
        if "texts" not in tables:
            raise UserError(
                "train.objective: pretrain reads plain texts, and the recipe names none",
                "add `texts: {from: my-texts/}`; `own` is this program's own source",
            )
    elif named := getattr(tables.get("grow"), "beside", ()):
        raise UserError(
            f"grow.beside: {', '.join(named)} would be made and never trained: growths are compared on plain texts",
            "set train.objective: pretrain, or leave grow.beside out",
        )


def tunes_of(config: TrainConfig, tables: Mapping[str, Any]) -> int:
    """How many there are: the control, and of plain texts each model that `grow` makes beside."""
    beside = getattr(tables.get("grow"), "beside", ()) if config.objective == "pretrain" else ()
    return 1 + config.shuffles + config.compares + len(beside)


def _lengths(config: TrainConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Lengths:
    """Of the curated rows; of conversations that are not here and will be cut, what pieces may have; of plain texts all
    sequences are as long as they may be."""
    if config.objective != "pretrain":
        found, curate = lengths(known.inputs.get(ROWS)), tables.get("curate")
        cut = getattr(curate, "split_long", None)
        if found.rows is None and cut and isinstance(getattr(curate, "source", None), HubId):
            return Lengths(_OF_A_PIECE * cut.tokens)
        return found
    bytes_a_token = 1 if getattr(tables.get("base"), "bytes", False) else BYTES_A_TOKEN
    tokens = tables["texts"].characters() / bytes_a_token
    return Lengths(config.max_length, math.ceil(tokens / (config.max_length - 1)))


def _again(config: TrainConfig, tunes: int) -> str:
    if config.shuffles:
        return ", twice (control)"
    if config.compares:
        return ", twice (without the teacher)"
    return f", {tunes} times (models that grew by other methods)" if tunes > 1 else ""


def _whose(config: TrainConfig, length: Lengths) -> str:
    if config.objective == "pretrain":
        return ", by the size of the texts"
    if length.rows:
        return " (the curated ones)"
    usual = length == Lengths()
    return ", as in the released 52K" if usual else ", three fifths of curate.split_long: a guess"


def _refuse_conversations(config: TrainConfig, tables: Mapping[str, Any], length: Lengths) -> None:
    """Where rows have several turns and the template holds one exchange: before they are paid for."""
    if config.objective == "pretrain" or (template := template_of(config.template)).many_turns:
        return
    if length.several:
        raise conversations_refused(length.several, length.rows or 0, template.name)
    if getattr(tables.get("generate"), "many_turns", False):
        rows = tables["generate"].count
        raise conversations_refused(rows, rows, template.name)


def _opens(config: TrainConfig) -> bool:
    """Whether rows begin alike."""
    asked = config.objective != "pretrain" and template_of(config.template).with_input
    return bool(asked) and not config.hyper(0).draws


def _shared(job: Job) -> str:
    left_out = 1 - job.computed
    return f"; {left_out:.0%} of them, a shared opening, is computed once" if left_out else ""


def _notes(config: TrainConfig, base: BaseTable | None, gpu: GpuTable | None) -> Iterator[str]:
    gpus = gpu.count if gpu else None
    if base and base.on_hub and base.commit() != base.revision:
        yield (
            f"hub revision '{base.revision}' is not pinned: write base.revision: "
            f"{base.commit() or 'the commit, 40 hex digits'}"
        )
    if find_spec("torch") is None:
        yield "it needs the extra 'train', which is not installed"
    for package in missing_packages(config):
        yield f"it needs {package}, which is not installed"
    if config.method == "full" and config.lora != Lora():
        yield "method full has no adapter, so nothing of train.lora is used"
    targets = () if config.method == "full" else config.lora.target_modules
    named = () if isinstance(targets, str) else targets
    if unknown := [name for name in named if _last(name) not in _LAYERS]:
        yield (
            f"train.lora.target_modules: no base that is known here has a linear layer '{unknown[0]}': "
            f"{did_you_mean(_last(unknown[0]), _LAYERS)}"
        )
    if gpus is not None and gpus != config.processes:
        yield idle_gpus(gpus, config.processes, machine_of({"gpu": gpu}).per_hour)
    if gpus is None and config.processes > 1 and getattr(gpu, "name", None):
        yield f"train.processes uses {config.processes} GPUs: write gpu.count: {config.processes}, so that each is priced"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


# Linear layers by the names that transformers gives them; a base that lies here is asked itself (models/base_check.py).
_LAYERS = (
    *(
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "out_proj",
        "qkv_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ),
    *(
        "gate_up_proj",
        "query_key_value",
        "dense",
        "dense_h_to_4h",
        "dense_4h_to_h",
        "c_attn",
        "c_proj",
        "c_fc",
    ),
    *(
        "fc1",
        "fc2",
        "fc_in",
        "fc_out",
        "Wqkv",
        "lm_head",
        "in_proj",
        "x_proj",
        "dt_proj",
        "embed_out",
    ),
)
_LONG_ON_CPU = 120.0  # minutes, from which a CPU is hardly meant
_OF_A_PIECE = 0.6  # of the tokens that a piece may have; not measured
_START_SECONDS = 12.0  # imports, loading, saving
_FLOP = {
    "lora": 4,
    "qlora": 4,
    "full": 6,
}  # a parameter and token: forward 2, gradient of activations 2, of weights 2
_CPU_FLOPS = 120e9  # a second on 2 cores without AMX: SmolLM2-135M, LoRA, 1,000 tokens a step in 4.2 s (2026-11)


STAGE = Stage(
    "train",
    version=1,
    config=TrainConfig,
    reads=(f"{GROWN}?",),
    uses=("base", "seed", "texts?"),
    estimate=estimate,
    run=run,
    prove=prove,
    on_gpu=True,
)
