"""TRL's trainers on ids that are ours already: nothing is tokenised, truncated or dropped by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.align.preference_ids import LabelledIds, PairIds
from alpaca_pipe.train.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase, Trainer


def arguments(
    kind: type[Any], hyper: Hyperparameters, scratch: Path, at_once: int, **own: Any
) -> Any:
    """TRL's config for a tune. at_once: rows of one forward; a step has hyper.rows_a_step of them all the same."""
    import torch

    on_gpu = torch.cuda.is_available()
    return kind(
        output_dir=str(scratch),
        seed=hyper.seed,
        learning_rate=hyper.learning_rate,
        num_train_epochs=hyper.num_train_epochs,
        max_steps=hyper.max_steps or -1,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=hyper.rows_a_step // at_once,
        lr_scheduler_type=hyper.lr_scheduler_type,
        warmup_steps=hyper.warmup_steps,
        weight_decay=hyper.weight_decay,
        **hyper.optimizer,
        use_cpu=not on_gpu,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        gradient_checkpointing=False,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would log a loss that is no number as 0.0
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=False,
        **own,
    )


def pairs_at_once(hyper: Hyperparameters) -> int:
    """A CPU is as fast pair by pair, needs less memory, and pads less; the mean over a step is the same."""
    import torch

    return hyper.per_device_train_batch_size if torch.cuda.is_available() else 1


def on_our_ids(kind: type[Any]) -> type[Any]:
    """One of TRL's trainers that takes its rows as they are, and counts the tokens that it saw where a checkpoint keeps them."""

    class OnOurIds(kind):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *args: Any, **more: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *args: Any, **more: Any) -> Any:
            return dataset  # reference.py has done it, or will

        def training_step(self, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
            if "attention_mask" in inputs:
                self.state.num_input_tokens_seen += int(inputs["attention_mask"].sum())
            return super().training_step(model, inputs, *args, **more)

        def _send_telemetry(self) -> None:
            """TRL tells its makers which trainer runs on what; we tell nobody."""

        def create_model_card(self, *args: Any, **more: Any) -> None:
            """None in a checkpoint."""

    return OnOurIds


def dpo_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[PairIds],
    precomputed: bool,
    hyper: Hyperparameters,
    scratch: Path,
    **own: Any,
) -> Trainer:
    """precomputed: the beginning's log-probabilities are given before it trains (`with_reference`), not computed in every
    step. own: of DPOConfig."""
    from trl import DPOConfig, DPOTrainer

    columns: dict[str, list[Any]] = {
        "prompt_ids": [list(row.prompt) for row in rows],
        "chosen_ids": [list(row.chosen) for row in rows],
        "rejected_ids": [list(row.rejected) for row in rows],
    }
    args = arguments(
        DPOConfig,
        hyper,
        scratch,
        pairs_at_once(hyper),
        max_length=None,
        precompute_ref_log_probs=precomputed,
        **own,
    )
    return on_our_ids(DPOTrainer)(  # type: ignore[no-any-return]
        model=model, args=args, train_dataset=_dataset(columns), processing_class=tokenizer
    )


def kto_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[LabelledIds],
    precomputed: bool,
    hyper: Hyperparameters,
    scratch: Path,
    **own: Any,
) -> Trainer:
    """As dpo_trainer. Each answer is also read under another prompt; the rows come in their order."""
    from trl import KTOConfig, KTOTrainer

    at_once = hyper.per_device_train_batch_size
    columns: dict[str, list[Any]] = {
        "prompt_ids": [list(row.prompt) for row in rows],
        "completion_ids": [list(row.answer) for row in rows],
        "KL_completion_ids": [list(ids) for ids in mismatched(rows)],
        "label": [row.label for row in rows],
    }
    args = arguments(
        KTOConfig,
        hyper,
        scratch,
        at_once,
        max_length=None,
        precompute_ref_log_probs=precomputed,
        train_sampling_strategy="sequential",
        **own,
    )
    return on_our_ids(KTOTrainer)(  # type: ignore[no-any-return]
        model=model, args=args, train_dataset=_dataset(columns), processing_class=tokenizer
    )


_COLUMN = {
    "chosen": "ref_chosen_logps",
    "rejected": "ref_rejected_logps",
    "answer": "ref_logps",
    "other": "ref_KL_logps",
}


def with_reference(trainer: Any, reference: Sequence[Mapping[str, Any]]) -> None:
    """Puts what was said before the first step beside the rows, in their order."""
    for name, column in _COLUMN.items():
        if name in reference[0]:
            values = [one[name] for one in reference]
            trainer.train_dataset = trainer.train_dataset.add_column(column, values)


def mismatched(rows: Sequence[LabelledIds]) -> list[tuple[int, ...]]:
    """For each row an answer to another prompt, each answer once: by such pairs KTO measures how far the model has gone
    (arXiv:2402.01306, sec. 4.1). With the rows of each prompt side by side, a turn by the most rows of one prompt parts all."""
    most = max(Counter(row.prompt for row in rows).values())
    first = {row.prompt: at for at, row in reversed(list(enumerate(rows)))}
    order = sorted(range(len(rows)), key=lambda at: first[rows[at].prompt])
    found: list[tuple[int, ...]] = [()] * len(rows)
    for place, at in enumerate(order):
        found[at] = rows[order[place - most]].answer
    return found


def reward_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[PairIds],
    hyper: Hyperparameters,
    scratch: Path,
    **own: Any,
) -> Trainer:
    """model: with one output. tokenizer: its pad token ends no answer (reward_model.py)."""
    from trl import RewardConfig, RewardTrainer

    columns = {
        "chosen_ids": [[*row.prompt, *row.chosen] for row in rows],
        "rejected_ids": [[*row.prompt, *row.rejected] for row in rows],
    }
    args = arguments(RewardConfig, hyper, scratch, pairs_at_once(hyper), max_length=None, **own)
    return on_our_ids(RewardTrainer)(  # type: ignore[no-any-return]
        model=model, args=args, train_dataset=_dataset(columns), processing_class=tokenizer
    )


def _dataset(columns: Mapping[str, list[Any]]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_dict(dict(columns))
