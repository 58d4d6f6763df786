"""The work of [train]: the base tuned on the rows, then a control on the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import open_to_others, read_json, read_jsonl, read_jsonl_so_far
from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.planned_machine import idle_gpus
from alpaca_pipe.models.base_proof import prove_base
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.loss_mask import Encoded, EncodedRow, Encoder
from alpaca_pipe.models.own_template import template_of
from alpaca_pipe.models.saved_template import save_template
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.train.best_weights import NOTE
from alpaca_pipe.train.calibration import Calibration
from alpaca_pipe.train.config import FOLDERS, HELD_OUT, ROWS, TrainConfig, asked_of, check
from alpaca_pipe.train.ears import Ears, on_the_way
from alpaca_pipe.train.gpu_kernels import check_gpu
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.job import TuneJob, perform
from alpaca_pipe.train.midway import Midway, midway_of, midway_on
from alpaca_pipe.train.packages import check_packages
from alpaca_pipe.train.processes import check_processes, perform_together
from alpaca_pipe.train.recompute import recomputes
from alpaca_pipe.train.resume import Owner, go_on_from
from alpaca_pipe.train.shuffled_control import shuffled
from alpaca_pipe.train.soft_targets import SoftTargets
from alpaca_pipe.train.text_rows import text_rows
from alpaca_pipe.train.trackers import TRACKED, Tracking, described
from alpaca_pipe.train.training_rows import TrainingRows, training_rows
from alpaca_pipe.train.tuned_elsewhere import take
from alpaca_pipe.weights.base import BESIDE, BaseTable, Checkpoint, base_or_grown, resolve


def train(config: TrainConfig, context: StageContext) -> Outcome:
    """Writes model/, control/ (adapter or whole model; tokenizer with the chat template; template.json), loss.jsonl
    and dropped.jsonl; with evaluation on the way eval.jsonl, and chosen_on.jsonl where it chooses.

    Summary: method, template, rows, dropped, steps, tokens and learned_tokens (of one pass over the rows), loss (which
    -> {first, last}: means over the first and last eighth of the steps, in nats a learned token); base_commit of a base
    from the hub; sequences, where conversations take more of them than there are rows; unsaid (what -> messages of which
    the template does not write it); what was evaluated on the way: see ears.py.
    """
    base = base_or_grown(context.tables["base"], context.inputs)
    if config.hosted:
        return _there(config, context)
    check(config, base)
    _check_machine(config)
    check_packages(config)
    checkpoint = resolve(base, context.progress.say)
    encoder = Encoder(load_tokenizer(checkpoint), template_of(config.template))
    told, scored = _rows(config, context, encoder)
    if config.source:
        draft = context.scratch / "model"
        take(config, base, checkpoint, encoder, draft)
        draft.rename(context.folder / FOLDERS["tuned"])
        context.progress.say(f"{config.method}, tuned elsewhere: {config.source}, as it is")
        return Outcome(_what(config, context, told) | {"tuned_elsewhere": True})
    rows = told.sequences
    hyper = replace(config.hyper(context.seed), checkpointing=recomputes(config, base, rows))
    tunes = {"tuned": (rows, checkpoint)} | _beside(context.inputs.get(BESIDE), rows)
    if config.shuffles:
        tunes["control"] = (shuffled(rows, context.seed), checkpoint)
    if config.compares:
        tunes["sft"] = (rows, checkpoint)
    steps = hyper.steps(len(rows))
    midway = _midway(config, context, encoder, hyper, len(rows), scored)
    soft = _taught(config, context, base, encoder, checkpoint, rows)
    _announce(context, config, told.rows, steps, len(tunes))
    calibration = Calibration(steps * len(tunes), context.per_hour, context.progress.say)
    start = config.resume_from_checkpoint
    for place, (which, (its_rows, its_base)) in enumerate(tunes.items()):
        if not (context.folder / FOLDERS[which]).is_dir():
            _place(which, start, context)
            start = True  # it was asked for the tune that was interrupted
            _tune(
                which,
                its_rows,
                told.weights,
                config,
                hyper,
                its_base,
                encoder,
                context,
                midway,
                before=place * steps,
                calibration=calibration,
                soft=soft if which == "tuned" else None,
            )
    commit = {"base_commit": base.commit()} if base.on_hub else {}
    return Outcome(
        _what(config, context, told)
        | {
            "steps": steps,
            "tokens": sum(len(row.ids) for row in rows),
            "learned_tokens": sum(row.learned for row in rows),
            "loss": _losses(context.folder / "loss.jsonl"),
        }
        | on_the_way(midway, context.folder, steps)
        | commit
    )


def _rows(
    config: TrainConfig, context: StageContext, encoder: Encoder
) -> tuple[TrainingRows, list[EncodedRow]]:
    """(what is trained on; of plain texts also what is scored on the way)."""
    say = context.progress.say
    if config.objective == "pretrain":
        texts: TextsTable = context.tables["texts"]
        return text_rows(config, texts, encoder.tokenizer, context.folder, say)
    return training_rows(config, context.inputs[ROWS], encoder, context.folder, say), []


def _what(config: TrainConfig, context: StageContext, told: TrainingRows) -> dict[str, Any]:
    return {
        "method": config.method,
        "template": template_of(config.template).name,
        "rows": told.rows,
        "dropped": sum(1 for _ in read_jsonl(context.folder / "dropped.jsonl")),
    } | told.summary()


def _beside(
    folder: Path | None, rows: list[Encoded]
) -> dict[str, tuple[list[Encoded], Checkpoint]]:
    """The same rows for each model that `grow` made by another method, to be compared."""
    models = sorted(folder.iterdir()) if folder else []
    return {model.name: (rows, Checkpoint(str(model))) for model in models}


def _midway(
    config: TrainConfig,
    context: StageContext,
    encoder: Encoder,
    hyper: Hyperparameters,
    rows: int,
    scored: Sequence[EncodedRow],
) -> Midway | None:
    """Evaluation on the way, where it is asked for. scored: sequences of held-out texts, for objective pretrain."""
    if config.eval_strategy == "no":
        return None
    epoch = replace(hyper, num_train_epochs=1.0, max_steps=None)
    if config.objective == "pretrain":
        steps = (hyper.steps(rows), epoch.steps(rows))
        return midway_on(scored, config, steps, context.per_hour)
    return midway_of(
        config,
        context.inputs[HELD_OUT],
        context.folder,
        encoder,
        (hyper.steps(rows), epoch.steps(rows)),
        context.per_hour,
        context.progress.say,
    )


def _tracking(
    which: str, config: TrainConfig, hyper: Hyperparameters, context: StageContext
) -> Tracking | None:
    """The run is named by its step, so that a resume goes on in it and another recipe's tune does not."""
    if not config.trackers:
        return None
    return Tracking(
        config.trackers,
        context.recipe,
        f"{context.folder.name}/{which}",
        (context.own or context.folder.parent) / TRACKED,
        described(hyper),
        context.per_hour,
    )


def open_base(config: TrainConfig, base: BaseTable, say: Callable[[str], None]) -> None:
    """All that can be known to go wrong before there are rows: UserError."""
    check(config, base)
    _check_machine(config)
    check_packages(config)
    prove_base(base, asked_of(config), say)
    if config.objective == "distill":
        from alpaca_pipe.train.teaching import check_teacher

        check_teacher(config, load_tokenizer(resolve(base, say)), say)


def _there(config: TrainConfig, context: StageContext) -> Outcome:
    """At a provider: see hosted/tune_there.py."""
    from alpaca_pipe.train.hosted.job_books import TuneOrder
    from alpaca_pipe.train.hosted.tune_there import tune_there

    order = TuneOrder(
        context.folder,
        context.inputs[ROWS],
        context.tables["base"],
        context.journal,
        context.caps,
        context.recipe,
        context.run,
        context.progress.say,
        context.stopping,
    )
    return Outcome(tune_there(config, order))


def _check_machine(config: TrainConfig) -> None:
    if find_spec("torch") is None:
        raise UserError(
            "train: it needs the extra 'train', which is not installed",
            "pip install 'alpaca-pipe[train]'",
        )
    check_processes(config.processes)
    check_gpu(config.kernels)


def _taught(
    config: TrainConfig,
    context: StageContext,
    base: BaseTable,
    encoder: Encoder,
    checkpoint: Checkpoint,
    rows: list[Encoded],
) -> SoftTargets | None:
    """What the teacher says of the rows, where one is asked; it lies in the recipe's folder, for later tunes of these rows too."""
    if config.objective != "distill":
        return None
    from alpaca_pipe.train.teaching import taught

    place = (context.own or context.folder.parent) / "teacher_logprobs"
    context.phase("teacher")

    def between(done: int) -> None:
        context.progress.say(f"the teacher has read {done} of {len(rows)} rows")
        context.stop_here()

    return taught(config, base, encoder, checkpoint, rows, place, context.progress.say, between)


def _announce(
    context: StageContext, config: TrainConfig, rows: int, steps: int, tunes: int
) -> None:
    both = ", then the control with exchanged answers" if config.shuffles else ""
    if config.compares:
        both = ", then the same without the teacher"
    elif tunes > 1 and not config.shuffles:
        both = f", then {tunes - 1} models that grew by other methods"
    if config.processes > 1:
        both += f"; {config.processes} processes"
    context.progress.say(f"{config.method}, {rows} rows, {steps} steps{both}")
    if context.per_hour and (gpus := len(detect.gpus())) > config.processes:
        context.progress.say(idle_gpus(gpus, config.processes, context.per_hour))
    log = context.folder / "loss.jsonl"
    context.progress.start(steps * tunes, "steps", sum(1 for _ in read_jsonl_so_far(log)))


def _place(which: str, start: bool | str | Path, context: StageContext) -> None:
    """The tune's scratch folder, with the checkpoint that it is to go on from as its last one."""
    scratch = context.scratch / which
    scratch.mkdir(exist_ok=True)
    if said := go_on_from(scratch, Owner(context.folder.name, which), start, context.folder):
        context.progress.say(said)


def _tune(
    which: str,
    rows: list[Encoded],
    weights: list[float] | None,
    config: TrainConfig,
    hyper: Hyperparameters,
    checkpoint: Checkpoint,
    encoder: Encoder,
    context: StageContext,
    midway: Midway | None,
    before: int,
    calibration: Calibration,
    soft: SoftTargets | None,
) -> None:
    base = base_or_grown(context.tables["base"], context.inputs)
    scratch, draft = context.scratch / which, context.scratch / f"{which}-model"
    shutil.rmtree(draft, ignore_errors=True)
    job = TuneJob(
        which,
        checkpoint,
        base.dtype,
        config.method,
        base.published,
        rows,
        weights,
        hyper,
        scratch,
        context.folder / "loss.jsonl",
        draft,
        midway,
        _tracking(which, config, hyper, context),
        soft,
    )
    ears = Ears(which, before, context.progress.at, context.progress.say)

    def at(step: int, loss: float) -> None:
        ears.step(step, loss)
        calibration.step(before + step)

    if hyper.processes == 1:
        done = perform(job, context.stopping, at, context.phase, ears.told)
    else:
        context.phase("train")
        done = perform_together(job, context.stopping, at, ears.told)
    if not done:
        raise Stopped
    if midway and midway.best:
        ears.kept(read_json(draft / NOTE))
    save_template(draft, encoder)
    open_to_others(draft)
    (context.folder / FOLDERS[which]).parent.mkdir(exist_ok=True)
    draft.rename(context.folder / FOLDERS[which])
    shutil.rmtree(scratch)


def _losses(log: Path) -> dict[str, dict[str, float]]:
    answer = {}
    for which in FOLDERS:
        losses = [row["loss"] for row in read_jsonl_so_far(log) if row["which"] == which]
        if losses:
            eighth = max(1, len(losses) // 8)
            answer[which] = {
                "first": round(sum(losses[:eighth]) / eighth, 4),
                "last": round(sum(losses[-eighth:]) / eighth, 4),
            }
    return answer
