"""One tune with TRL's SFTTrainer, on ids and masks that are ours; interrupted anywhere, it goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.template import Encoded, Encoder, save_template
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from trl import SFTTrainer

_WHOLE = "whole"  # a file in a checkpoint whose writing was finished


@dataclass(frozen=True)
class Tune:
    """What is tuned and how. arguments: HF TrainingArguments by name; lora: peft's LoraConfig by name, None for full."""

    checkpoint: Checkpoint
    dtype: str
    lora: Mapping[str, Any] | None
    arguments: Mapping[str, Any]
    seed: int


def tune(job: Tune, rows: Sequence[Encoded], encoder: Encoder, work: Path, folder: Path,
         at: Callable[[int, float], None], stopping: Callable[[], bool]) -> list[dict[str, Any]]:
    """Tunes, saves model and tokenizer into `folder`, and gives a row per step (step, loss, learning_rate, grad_norm).

    work: where checkpoints live until the end; a whole one that is there is continued, bit for bit on one CPU.
    Raises Stopped, after a checkpoint, when `stopping` says so.
    """
    trainer = _trainer(job, rows, work, at, stopping)
    trainer.train(resume_from_checkpoint=_last_whole(work))
    if trainer.state.global_step < trainer.state.max_steps:
        raise Stopped
    trainer.save_model(str(folder))
    save_template(folder, encoder)
    shutil.rmtree(work)
    return [{name: entry[name] for name in ("step", "loss", "learning_rate", "grad_norm")}
            for entry in trainer.state.log_history if "loss" in entry]


def _trainer(job: Tune, rows: Sequence[Encoded], work: Path, at: Callable[[int, float], None],
             stopping: Callable[[], bool]) -> SFTTrainer:
    import torch
    import transformers
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    transformers.set_seed(job.seed)  # LoRA's first weights are random
    tokenizer = load_tokenizer(job.checkpoint)
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    config = SFTConfig(
        output_dir=str(work), seed=job.seed, data_seed=job.seed, bf16=bf16, max_length=None,
        padding_free=True, dataset_kwargs={"skip_prepare_dataset": True},  # our ids and our mask stay as they are
        gradient_checkpointing=torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=1, logging_nan_inf_filter=False, report_to=[], disable_tqdm=True, save_total_limit=2,
        **job.arguments)
    lora = LoraConfig(task_type="CAUSAL_LM", **job.lora) if job.lora else None
    trainer = SFTTrainer(
        model=_alone_in_a_batch(load_model(job.checkpoint, job.dtype)), args=config, processing_class=tokenizer,
        train_dataset=Dataset.from_list([_row(row) for row in rows]), peft_config=lora, callbacks=[])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(_watch(work, at, stopping))
    return trainer


def _alone_in_a_batch(model: PreTrainedModel) -> PreTrainedModel:
    """Rows of a batch stand behind each other without padding; SDPA's mask keeps them apart by their positions."""
    model.set_attn_implementation("sdpa")
    model.config.use_cache = False
    return model


def _row(row: Encoded) -> dict[str, list[int]]:
    return {"input_ids": list(row.ids),
            "labels": [token if learned else -100 for token, learned in zip(row.ids, row.mask, strict=True)]}


def _watch(work: Path, at: Callable[[int, float], None], stopping: Callable[[], bool]) -> Any:
    import transformers

    class Watch(transformers.TrainerCallback):  # type: ignore[misc]
        """Says where the tune is, stops it when asked, and marks each checkpoint whose writing was finished."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if stopping() and state.global_step < state.max_steps:
                control.should_save = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                at(state.global_step, float(logs["loss"]))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (work / f"checkpoint-{state.global_step}" / _WHOLE).touch()

    return Watch()


def _last_whole(work: Path) -> str | None:
    """The newest checkpoint that was written to its end; what a kill left half is removed."""
    found = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
    for path in [path for path in found if not (path / _WHOLE).exists()]:
        shutil.rmtree(path)
    whole = [path for path in found if path.exists()]
    return str(whole[-1]) if whole else None
