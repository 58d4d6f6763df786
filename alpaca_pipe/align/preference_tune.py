"""One model trained on preferences, from where it begins to its folder; what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.align.answers_in_parts import answer_in_parts
from alpaca_pipe.align.policy import (
    Beginning,
    drop_reference,
    load_policy,
    save_policy,
)
from alpaca_pipe.align.preference_ids import PairIds
from alpaca_pipe.align.reference import labelled_reference, pair_reference
from alpaca_pipe.align.steps_watch import steps_watch
from alpaca_pipe.align.trl_trainers import dpo_trainer, kto_trainer, with_reference
from alpaca_pipe.models.loading import device, load_tokenizer
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.resume import last_whole
from alpaca_pipe.train.watch import watch


@dataclass(frozen=True)
class PreferenceTune:
    """which: its name in the logs. objective: of TRL's config (beta, loss_type ...). reference: the file of the beginning's
    log-probabilities, of rows in their own order. swapped: ids of `rows` whose sides are exchanged against that order."""

    which: str
    method: str
    begin: Beginning
    use_peft: bool
    rows: Sequence[Any]  # PairIds, for kto LabelledIds
    hyper: Hyperparameters
    objective: Mapping[str, Any]
    scratch: Path
    logs: Path
    reference: Path
    model: Path
    swapped: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Listener:
    """Who is told how far it is, and who may stop it."""

    stopping: Callable[[], bool] = lambda: False
    step: Callable[[int, float], None] = lambda step, loss: None
    row: Callable[[int], None] = lambda done: None
    phase: Callable[[str], None] = lambda name: None


def tune_on_preferences(job: PreferenceTune, listener: Listener) -> bool:
    """Whether it came to its end; False, or Stopped, where `stopping` said so first."""
    from transformers import set_seed

    listener.phase("load")
    set_seed(job.hyper.seed)
    model = load_policy(job.begin, job.use_peft, job.hyper.lora, job.scratch)
    model.to(device())  # type: ignore[arg-type]
    trainer = offline_trainer(job, model)
    listener.phase("train")
    with_reference(trainer, _reference(job, trainer, listener))
    if not trained(trainer, job.which, job.scratch, job.logs, job.hyper, listener):
        return False
    listener.phase("save")
    save_policy(trainer.model, job.begin, job.scratch, job.model)
    return True


def offline_trainer(job: PreferenceTune, model: Any, precomputed: bool = True) -> Any:
    """TRL's trainer for the job, with our arithmetic where that gives the same. precomputed: without a second model or adapter."""
    make: Any = dpo_trainer if job.method == "dpo" else kto_trainer
    trainer: Any = make(
        model,
        load_tokenizer(job.begin.checkpoint),
        job.rows,
        precomputed,
        job.hyper,
        job.scratch,
        **job.objective,
    )
    if precomputed:
        drop_reference(trainer.model)
    answer_in_parts(trainer.model, max(row.longest for row in job.rows))
    return trainer


def trained(
    trainer: Any,
    which: str,
    scratch: Path,
    logs: Path,
    hyper: Hyperparameters,
    listener: Listener,
) -> bool:
    """Whether it came to its last step; a call after an interrupted one goes on from the last whole checkpoint."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(
        watch(
            scratch,
            logs / "loss.jsonl",
            which,
            listener.stopping,
            listener.step,
            hyper.save_steps,
            hyper.save_total_limit,
        )
    )
    trainer.add_callback(steps_watch(logs / "steps.jsonl", which))
    start = last_whole(scratch)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    return bool(trainer.state.global_step >= trainer.state.max_steps)


def _reference(job: PreferenceTune, trainer: Any, listener: Listener) -> list[dict[str, Any]]:
    """Of the rows as this model learns them. The file has the order of the preferences, so rows that a control has exchanged are
    asked for, and read, the other way round."""
    if job.method == "kto":
        return labelled_reference(
            trainer,
            job.rows,
            job.reference,
            listener.stopping,
            listener.row,  # type: ignore[arg-type]
        )
    plain: list[PairIds] = [
        row.swapped() if row.id in job.swapped else row
        for row in job.rows
        if isinstance(row, PairIds)
    ]
    found = pair_reference(trainer, plain, job.reference, listener.stopping, listener.row)
    return [
        {**one, "chosen": one["rejected"], "rejected": one["chosen"]}
        if one["id"] in job.swapped
        else one
        for one in found
    ]
