"""A reward model trained on pairs, from the tuned model to its folder; what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.align.policy import Beginning
from alpaca_pipe.align.preference_ids import PairIds
from alpaca_pipe.align.preference_tune import Listener, trained
from alpaca_pipe.align.reward_model import new_reward_model, padding_tokenizer
from alpaca_pipe.align.trl_trainers import reward_trainer
from alpaca_pipe.models.loading import device
from alpaca_pipe.train.adapter import save_adapter
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.lean.replace import make_lean


@dataclass(frozen=True)
class RewardTune:
    """which: its name in the logs. objective: of TRL's RewardConfig. end: the token that ends an answer."""

    which: str
    begin: Beginning
    use_peft: bool
    rows: Sequence[PairIds]
    hyper: Hyperparameters
    objective: Mapping[str, Any]
    end: int
    scratch: Path
    logs: Path
    model: Path


def tune_reward(job: RewardTune, listener: Listener) -> bool:
    """Whether it came to its end; False where `stopping` said so first."""
    from transformers import set_seed

    listener.phase("load")
    set_seed(job.hyper.seed)
    model = new_reward_model(job.begin, job.use_peft, job.hyper.lora, job.scratch)
    model.to(device())  # type: ignore[arg-type]
    trainer: Any = reward_trainer(
        model,
        padding_tokenizer(job.begin.checkpoint, job.end),
        job.rows,
        job.hyper,
        job.scratch,
        **job.objective,
    )
    make_lean(trainer.model)
    listener.phase("train")
    if not trained(trainer, job.which, job.scratch, job.logs, job.hyper, listener):
        return False
    listener.phase("save")
    if job.use_peft:
        save_adapter(trainer.model, job.begin.published, job.scratch, job.model)
    else:
        trainer.model.save_pretrained(job.model)
    return True
