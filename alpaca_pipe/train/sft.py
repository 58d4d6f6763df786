"""One tune with TRL's SFTTrainer on rows that are already ids and mask. What we tokenised is what is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.architecture import of_config
from alpaca_pipe.models.fit import tokens_for_gradients
from alpaca_pipe.models.loading import device
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.nf4 import is_nf4
from alpaca_pipe.train.adapter import with_adapter
from alpaca_pipe.train.attention import lay_end_to_end
from alpaca_pipe.train.best_weights import put_back
from alpaca_pipe.train.eval_watch import LOG as EVAL_LOG
from alpaca_pipe.train.eval_watch import Evaluations, eval_watch
from alpaca_pipe.train.gpu_kernels import compile_parts, products_in_fp8, put_liger_in
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.lean.replace import make_lean, sparse_embedding
from alpaca_pipe.train.micro_batches import Row
from alpaca_pipe.train.midway import Midway
from alpaca_pipe.train.probe import agrees, stays
from alpaca_pipe.train.resume import last_whole
from alpaca_pipe.train.sharding import fsdp_arguments, shard, too_large
from alpaca_pipe.train.soft_targets import SoftTargets
from alpaca_pipe.train.together import wait_for_all
from alpaca_pipe.train.track_watch import track_watch
from alpaca_pipe.train.trackers import Tracking
from alpaca_pipe.train.trainer import collated, trainer_class
from alpaca_pipe.train.watch import watch

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig, SFTTrainer


def tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Encoded],
    hyper: Hyperparameters,
    scratch: Path,
    log: Path,
    which: str,
    stopping: Callable[[], bool] = lambda: False,
    at: Callable[[int, float], None] = lambda step, loss: None,
    weights: Sequence[float] | None = None,
    midway: Midway | None = None,
    tracking: Tracking | None = None,
    told: Callable[[Mapping[str, Any]], None] = lambda said: None,
    soft: SoftTargets | None = None,
) -> PreTrainedModel | None:
    """The tuned model (with its adapter, where hyper.lora is set), or None where `stopping` said so first.

    scratch: checkpoints; a later call goes on from the last whole one, and ends with the same weights, bit for bit on
    a CPU, as a call that was never interrupted.  log: JSON lines {which, step, loss, learning_rate, tokens}, loss in
    nats a learned token, tokens seen so far; lines of other tunes are kept.  at: told each step and its loss.
    weights: of the rows; None: all weigh the same.  midway: evaluation on the way, into eval.jsonl beside the log;
    tracking: where the figures go too; told: see eval_watch.py.  soft: what a teacher says of the rows.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback

    _silence()
    own = model.config._attn_implementation
    trainer = _trainer(model, tokenizer, rows, hyper, scratch, weights, soft)
    if hyper.fsdp:
        shard(trainer)
    trainer.remove_callback(PrinterCallback)
    saves = (hyper.save_steps, hyper.save_total_limit)
    trainer.add_callback(watch(scratch, log, which, stopping, at, *saves))
    tracked = track_watch(tracking, told) if tracking else None
    if tracked:
        trainer.add_callback(tracked)
        told = tracked.heard
    evaluating = None
    if midway:
        evaluating = Evaluations(midway, scratch, log.with_name(EVAL_LOG), which, own, told)
        trainer.add_callback(eval_watch(evaluating))
    start = last_whole(scratch)
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    finally:
        if tracked:
            tracked.close()
    ended_early = evaluating is not None and evaluating.ended_early
    if trainer.state.global_step < trainer.state.max_steps and not ended_early:
        return None
    if midway and midway.best:
        wait_for_all()  # the first has written it
        put_back(trainer.model, scratch)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return trainer.model


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Encoded],
    hyper: Hyperparameters,
    scratch: Path,
    weights: Sequence[float] | None,
    soft: SoftTargets | None,
) -> SFTTrainer:
    from transformers import set_seed

    if hyper.fsdp and too_large(model):
        if hyper.kernels.use_liger_kernel:
            raise UserError(
                "train.use_liger_kernel: the base is larger than one GPU, so its own numbers cannot be had there",
                "leave it out",
            )
    elif not is_nf4(model):
        model.to(device())  # type: ignore[arg-type]
    own = model.config._attn_implementation
    longest = max(len(row.ids) for row in rows)
    if hyper.kernels.use_liger_kernel:
        put_liger_in(model, lambda change: stays(model, rows, change))
    apart = lay_end_to_end(model, longest) and agrees(model, rows, own)
    if hyper.checkpointing:
        recompute(model)
    set_seed(hyper.seed)
    trained = with_adapter(model, hyper.lora, scratch) if hyper.lora else model
    trainer = trainer_class(hyper, apart, soft)(
        model=trained,
        args=_arguments(hyper, scratch),
        train_dataset=_dataset(rows, hyper, weights, numbered=soft is not None),
        data_collator=collated,
        processing_class=tokenizer,
    )
    for weight in trained.parameters():
        if weight.requires_grad and hyper.lora:  # TRL makes those on a base of 4 bits bfloat16
            weight.data = weight.data.float()
    if hyper.kernels.fp8:
        products_in_fp8(trained)
    # it gathers a weight for the layer that it stands in, and a lean layer reads it from outside
    lean = 0 if hyper.deepspeed else make_lean(trainer.model)
    if not hyper.lora and hyper.processes == 1:
        trainer.more_at_first = more_at_first(model, lean)  # type: ignore[attr-defined]
    if hyper.kernels.torch_compile:
        compile_parts(trained)
    if hyper.processes == 1:  # gradients are exchanged whole
        sparse_embedding(trained)
    return trainer


def more_at_first(model: PreTrainedModel, lean: int) -> int:
    """Tokens beyond the usual for the first micro-batch of a step, of a model all of whose layers are lean (on a CPU)."""
    try:
        shape = of_config(model.config.to_dict())
    except KeyError:
        return 0
    return int(tokens_for_gradients(shape)) if lean >= shape.layers else 0


def recompute(model: PreTrainedModel) -> None:
    """Each layer keeps what goes into it and is computed again in the backward pass; the numbers stay what they are."""
    enable = getattr(model, "activation_checkpointing_enable", None)  # its name from 5.23 on
    (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})


def _dataset(
    rows: Sequence[Encoded],
    hyper: Hyperparameters,
    weights: Sequence[float] | None,
    numbered: bool,
) -> Dataset:
    from datasets import Dataset

    prompt = hyper.objective.prompt_loss_weight
    each = weights if weights is not None else [1.0] * len(rows)
    data = [Row.of(r.ids, r.mask, one, prompt) for r, one in zip(rows, each, strict=True)]
    columns: dict[str, Any] = {
        "input_ids": [row.ids for row in data],
        "labels": [row.targets for row in data],
    }
    if any(row.weights is not None for row in data):
        columns["weights"] = [row.weights or [1.0] * len(row.ids) for row in data]
    if numbered:
        columns["number"] = list(range(len(data)))
    return Dataset.from_dict(columns)


def _arguments(hyper: Hyperparameters, scratch: Path) -> SFTConfig:
    import torch
    from trl import SFTConfig

    on_gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(scratch),
        seed=hyper.seed,
        learning_rate=hyper.learning_rate,
        num_train_epochs=hyper.num_train_epochs,
        max_steps=hyper.max_steps or -1,
        # all rows of a step come together; the trainer lays them into micro-batches itself
        per_device_train_batch_size=hyper.rows_a_step,
        gradient_accumulation_steps=1,
        lr_scheduler_type=hyper.lr_scheduler_type,
        warmup_steps=hyper.warmup_steps,
        weight_decay=hyper.weight_decay,
        **hyper.optimizer,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        use_cpu=not on_gpu,
        ddp_backend="gloo" if hyper.processes > 1 and not on_gpu else None,
        ddp_find_unused_parameters=False,
        **(fsdp_arguments() if hyper.fsdp else {}),
        deepspeed=dict(hyper.deepspeed) if hyper.deepspeed else None,
        tf32=hyper.kernels.tf32,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        gradient_checkpointing=False,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would log a loss that is no number as 0.0
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=False,
    )


def _silence() -> None:
    """The libraries' bars and notes would drown our lines; what matters of them is checked or said by us."""
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|peft|accelerate|datasets)\b")
