"""One tune from base to saved model, as one process does it, and all that it has to know."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_json
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.nf4 import note_nf4
from alpaca_pipe.train.adapter import save_adapter
from alpaca_pipe.train.best_weights import NOTE, best_so_far
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.midway import Midway
from alpaca_pipe.train.sft import tune
from alpaca_pipe.train.sharding import put_together
from alpaca_pipe.train.soft_targets import SoftTargets
from alpaca_pipe.train.trackers import Tracking
from alpaca_pipe.weights.base import Checkpoint

OUT_OF_MEMORY = (
    "lower train.per_device_train_batch_size (and raise gradient_accumulation_steps), or set "
    "train.gradient_checkpointing: true, or base.dtype: bfloat16 with method lora, or over several GPUs train.fsdp: true"
)


@dataclass(frozen=True)
class TuneJob:
    """published: the base's name for others; weights: of the rows, or None; scratch: for checkpoints; log: see sft.tune;
    model: the folder that is written at the end; midway: evaluation on the way; tracking: where figures go too; soft: what a teacher says
    of the rows."""

    which: str
    checkpoint: Checkpoint
    dtype: str
    method: str
    published: str
    rows: Sequence[Encoded]
    weights: Sequence[float] | None
    hyper: Hyperparameters
    scratch: Path
    log: Path
    model: Path
    midway: Midway | None = None
    tracking: Tracking | None = None
    soft: SoftTargets | None = None


def perform(
    job: TuneJob,
    stopping: Callable[[], bool],
    at: Callable[[int, float], None],
    phase: Callable[[str], None] = lambda name: None,
    told: Callable[[Mapping[str, Any]], None] = lambda said: None,
) -> bool:
    """Whether it came to its end; False where `stopping` said so first. Of several processes the first one writes."""
    phase("load")
    nf4 = job.method == "qlora"
    loaded = load_model(job.checkpoint, job.dtype, nf4=nf4)
    tokenizer = load_tokenizer(job.checkpoint)
    phase("train")
    model = tune(
        loaded,
        tokenizer,
        job.rows,
        job.hyper,
        job.scratch,
        job.log,
        job.which,
        stopping,
        at,
        job.weights,
        job.midway,
        job.tracking,
        told,
        job.soft,
    )
    if model is None:
        return False
    phase("save")
    first = int(os.environ.get("RANK", "0")) == 0
    if job.hyper.in_parts:
        put_together(model, first)
    if first:
        if job.method == "full":
            model.save_pretrained(job.model)
        else:
            save_adapter(model, job.published, job.scratch, job.model)  # type: ignore[arg-type]
        if nf4:
            note_nf4(job.model)
        if job.midway and job.midway.best and (best := best_so_far(job.scratch)):
            write_json(job.model / NOTE, asdict(best))
    return True
