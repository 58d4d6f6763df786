"""One contender of the training bench in a process of its own: a few steps, then a line of JSON about them.

python -m tests.bench.train_one WHO METHOD ROWS_AT_ONCE FILE SKIPPED     FILE: rows as {ids, mask}; WHO: ours, padded, packed, bare
CPU seconds are those after the steps of the first SKIPPED rows; the peak is the whole process's.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE, RANK = 1e-4, 16
SKIPPED = 1000  # of the 52K: its first rows are shorter than most


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows of the original 52K as {ids, mask}, encoded once for all contenders."""
    from alpaca_pipe.core.example import Example, Origin, Rejected
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.templates import TEMPLATES

    data = Path(os.environ.get("ALPACA_PIPE_DATA", "../shared/data"))
    with gzip.open(data / "alpaca_data.json.gz") as stream:
        rows = json.load(stream)[SKIPPED : SKIPPED + count + 20]
    examples = [Example.of(r["instruction"], r["input"], r["output"], Origin("seed")) for r in rows]
    encoder = Encoder(load_tokenizer(checkpoint()), TEMPLATES["alpaca"])
    found = [row[0] for row in encoder.encode(examples, 512) if not isinstance(row, Rejected)]
    return [{"ids": list(row.ids), "mask": list(row.mask)} for row in found[:count]]


def encoded(file: Path) -> list[Any]:
    """The same rows, as the tree that runs holds them."""
    try:
        from alpaca_pipe.models.loss_mask import Encoded
    except ImportError:  # a build of before 2026-11-30
        from alpaca_pipe.models.template import Encoded  # type: ignore[no-redef]
    return [Encoded(tuple(row["ids"]), tuple(row["mask"])) for row in json.loads(file.read_text())]


def checkpoint() -> Any:
    from alpaca_pipe.weights.base import BaseTable, resolve

    return resolve(BaseTable(model="smollm2-135m-instruct"))


def lora() -> dict[str, Any]:
    return {"r": RANK, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}


def ours(method: str, at_once: int, rows: list[Any], at: Callable[[float], None]) -> None:
    from alpaca_pipe.models.loading import load_model, load_tokenizer
    from alpaca_pipe.train.sft import tune

    try:
        from alpaca_pipe.train.hyperparameters import Hyperparameters
    except ImportError:  # a build of before 2026-11-30
        from alpaca_pipe.train.hyper import Hyper as Hyperparameters
    hyper = Hyperparameters(
        learning_rate=RATE,
        num_train_epochs=1.0,
        max_steps=None,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=1,
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        seed=0,
        lora=lora() if method == "lora" else None,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model, tokenizer = load_model(checkpoint(), "float32"), load_tokenizer(checkpoint())
        tune(
            model,
            tokenizer,
            rows,
            hyper,
            place,
            place / "loss.jsonl",
            "tuned",
            at=lambda step, loss: at(loss),
        )


def model_for(method: str) -> Any:
    from alpaca_pipe.models.loading import load_model

    model = load_model(checkpoint(), "float32")
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        return get_peft_model(model, LoraConfig(**lora(), task_type="CAUSAL_LM"))
    return model


def labelled(rows: list[Any]) -> list[dict[str, list[int]]]:
    return [
        {
            "input_ids": list(row.ids),
            "labels": [i if m else -100 for i, m in zip(row.ids, row.mask, strict=True)],
        }
        for row in rows
    ]


def arguments(folder: str, at_once: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "seed": 0,
        "learning_rate": RATE,
        "num_train_epochs": 1.0,
        "per_device_train_batch_size": at_once,
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
    }


def watcher(at: Callable[[float], None]) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **m: Any) -> None:
            if "loss" in logs:
                at(logs["loss"])

    return Watch()


def padded(method: str, at_once: int, rows: list[Any], at: Callable[[float], None]) -> None:
    """The reference's way: transformers' Trainer, every row padded to the longest of its batch."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from alpaca_pipe.models.loading import load_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=model_for(method),
            args=TrainingArguments(**arguments(folder, at_once)),
            train_dataset=Dataset.from_list(labelled(rows)),
            data_collator=DataCollatorForSeq2Seq(load_tokenizer(checkpoint())),
            callbacks=[watcher(at)],
        ).train()


def packed(method: str, at_once: int, rows: list[Any], at: Callable[[float], None]) -> None:
    """TRL as its documentation has it, packing "bfd" to as many tokens as our micro-batch has on average."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from alpaca_pipe.models.loading import load_tokenizer

    mean = sum(len(row.ids) for row in rows) / len(rows)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            **{**arguments(folder, 1), "gradient_checkpointing": False},
            packing=True,
            packing_strategy="bfd",
            max_length=max(512, round(mean * at_once)),
        )
        SFTTrainer(
            model=model_for(method),
            args=config,
            train_dataset=Dataset.from_list(labelled(rows)),
            processing_class=load_tokenizer(checkpoint()),
            callbacks=[watcher(at)],
        ).train()


def bare(method: str, at_once: int, rows: list[Any], at: Callable[[float], None]) -> None:
    """A loop of a few lines over the same batches, row after row: the same arithmetic without any trainer."""
    import torch

    model = model_for(method).train()
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], RATE, weight_decay=0.0
    )
    for start in range(0, len(rows), at_once):
        part = labelled(rows[start : start + at_once])
        learned = sum(label != -100 for row in part for label in row["labels"])
        total = 0.0
        for row in part:
            labels = torch.tensor(row["labels"][1:])
            keep = (labels != -100).nonzero()[:, 0]
            logits = model(
                input_ids=torch.tensor([row["input_ids"]]), use_cache=False, logits_to_keep=keep
            ).logits
            loss = torch.nn.functional.cross_entropy(logits[0], labels[keep], reduction="sum")
            (loss / learned).backward()
            total += float(loss.detach()) / learned
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        at(total)


def main(who: str, method: str, at_once: int, file: Path, skipped: int) -> None:
    import torch

    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
    rows = encoded(file)
    losses: list[float] = []
    times: list[float] = []

    def at(loss: float) -> None:
        losses.append(loss)
        times.append(time.process_time())

    {"ours": ours, "padded": padded, "packed": packed, "bare": bare}[who](method, at_once, rows, at)
    steps = max(1, round(len(losses) * skipped / len(rows)))
    share = (len(losses) - steps) / len(losses)
    tokens = sum(len(row.ids) for row in rows) * share  # each real token once, padding never
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures = {
        "tokens_per_cpu_second": tokens / (times[-1] - times[steps - 1]),
        "peak_gb": peak,
        "losses": losses,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
