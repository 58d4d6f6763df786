"""[train] tunes the base on the curated rows, and a control on the same rows with the answers exchanged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_jsonl, read_jsonl_so_far, write_jsonl
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.table import Table
from alpaca_pipe.ledger.machine import machine_of
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.shapes import has_weights, shape_of
from alpaca_pipe.models.speed import PUBLISHED
from alpaca_pipe.models.template import TEMPLATES, Encoded, Encoder, TemplateName, save_template
from alpaca_pipe.recipe.stage import Bench, Estimate, Known, Outcome, Stage, StageConfig
from alpaca_pipe.train.control import shuffled
from alpaca_pipe.train.outlay import Job, lengths
from alpaca_pipe.train.sft import Hyper, tune
from alpaca_pipe.weights.base import BaseTable, Checkpoint, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS = "curate/train.jsonl"
FOLDERS = {"tuned": "model", "control": "control"}


class Lora(Table):
    """The adapter, by the names of peft's LoraConfig but for their `lora_` prefix."""

    r: int = Field(16, ge=1, description="rank")
    alpha: int = Field(32, ge=1, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapter's input, while training")
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="names of linear layers, such as [q_proj, v_proj]")

    renamed: ClassVar[dict[str, str]] = {"lora_r": "r", "rank": "r", "lora_alpha": "alpha", "lora_dropout": "dropout"}


class Config(StageConfig):
    """How it is tuned, by the names of HF's TrainingArguments as of transformers 5."""

    method: Literal["lora", "full"] = Field("lora", description="an adapter beside frozen weights, or all weights")
    template: TemplateName = Field("alpaca", description="the text around an instruction; alpaca-2023 is Stanford's, "
                                                         "without the line feed before the answer")
    max_length: int = Field(512, ge=8, description="tokens of prompt, answer and EOS; longer rows are dropped")
    learning_rate: float | None = Field(None, gt=0, description="default: 2e-4 for lora, 2e-5 for full")
    num_train_epochs: float = Field(3.0, gt=0, description="how often each row is learned from")
    max_steps: int | None = Field(None, ge=1, description="in place of num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="rows at once")
    gradient_accumulation_steps: int = Field(1, ge=1, description="batches to one step of the optimizer")
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate falls after the warm-up")
    warmup_steps: float = Field(0.03, ge=0, description="steps, or below 1 their share")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    lora: Lora = Field(Lora(), description="method lora: the adapter")
    control: Literal["shuffled", "none"] = Field(
        "shuffled", description="a second tune, answers exchanged among the instructions: what form alone teaches")

    renamed: ClassVar[dict[str, str]] = {
        "warmup_ratio": "warmup_steps", "epochs": "num_train_epochs", "num_epochs": "num_train_epochs",
        "lr": "learning_rate", "batch_size": "per_device_train_batch_size",
        "micro_batch_size": "per_device_train_batch_size", "gradient_accumulation": "gradient_accumulation_steps",
        "max_seq_length": "max_length", "model_max_length": "max_length", "cutoff_len": "max_length",
        "scheduler": "lr_scheduler_type", "lr_scheduler": "lr_scheduler_type",
        "lora_r": "lora.r", "lora_alpha": "lora.alpha", "lora_dropout": "lora.dropout",
        "lora_target_modules": "lora.target_modules", "target_modules": "lora.target_modules",
        "evaluation_strategy": "evaluate:", "eval_strategy": "evaluate:",
    }

    def rehearsed(self) -> Self:
        """A few steps; four times the length, for a stand-in tokenizer spells bytes, about four to a token."""
        return self.model_copy(update={"max_steps": 4, "max_length": 4 * self.max_length,
                                       "gradient_accumulation_steps": 1,
                                       "per_device_train_batch_size": min(self.per_device_train_batch_size, 4)})

    def hyper(self, seed: int) -> Hyper:
        lora = {"r": self.lora.r, "lora_alpha": self.lora.alpha, "lora_dropout": self.lora.dropout,
                "target_modules": self.lora.target_modules if isinstance(self.lora.target_modules, str)
                else list(self.lora.target_modules)}
        return Hyper(
            self.learning_rate or (2e-4 if self.method == "lora" else 2e-5), self.num_train_epochs, self.max_steps,
            self.per_device_train_batch_size, self.gradient_accumulation_steps, self.lr_scheduler_type,
            self.warmup_steps, self.weight_decay, seed, lora if self.method == "lora" else None)


def run(config: Config, bench: Bench) -> Outcome:
    """Writes model/, control/ (adapter or whole model; tokenizer with the chat template; template.json), loss.jsonl
    and dropped.jsonl.

    Summary: method, template, rows, dropped, steps, tokens and learned_tokens (of one pass over the rows), loss (which
    -> {first, last}: means over the first and last eighth of the steps, in nats a learned token); base_commit of a base
    from the hub.
    """
    base: BaseTable = bench.tables["base"]
    _check(config, base)
    _check_machine()
    checkpoint = resolve(base, bench.progress.say)
    encoder = Encoder(load_tokenizer(checkpoint), TEMPLATES[config.template])
    rows = _rows(config, bench, encoder)
    hyper = config.hyper(bench.seed)
    tunes = {"tuned": rows}
    if config.control == "shuffled":
        tunes["control"] = shuffled(rows, bench.seed)
    steps = hyper.steps(len(rows))
    _announce(bench, config, len(rows), steps, len(tunes))
    for place, (which, its_rows) in enumerate(tunes.items()):
        if not (bench.folder / FOLDERS[which]).is_dir():
            _tune(which, its_rows, config, hyper, checkpoint, encoder, bench, before=place * steps)
    commit = {"base_commit": base.commit()} if base.on_hub else {}
    return Outcome({"method": config.method, "template": config.template, "rows": len(rows),
                    "dropped": sum(1 for _ in read_jsonl(bench.folder / "dropped.jsonl")), "steps": steps,
                    "tokens": sum(len(row.ids) for row in rows), "learned_tokens": sum(row.learned for row in rows),
                    "loss": _losses(bench.folder / "loss.jsonl")} | commit)


def _check(config: Config, base: BaseTable) -> None:
    """What the recipe alone decides, so that it is known before anything is paid."""
    if config.method == "full" and base.dtype == "bfloat16":
        raise UserError("train: full tuning of bfloat16 weights: at a rate of 2e-5, 70 % of them do not move in a step",
                        "set base.dtype: float32, or train.method: lora")


def _check_machine() -> None:
    if find_spec("torch") is None:
        raise UserError("train: it needs the extra 'train', which is not installed", "pip install 'alpaca-pipe[train]'")
    import torch

    if torch.cuda.device_count() > 1:
        raise UserError(f"train: {torch.cuda.device_count()} GPUs are visible, and one is used",
                        "set the environment variable CUDA_VISIBLE_DEVICES=0")


def _rows(config: Config, bench: Bench, encoder: Encoder) -> list[Encoded]:
    """The rows that fit, as ids and mask; the others go to dropped.jsonl with their reason."""
    examples = [Example.from_row(row) for row in read_jsonl(bench.inputs[ROWS])]
    found = list(encoder.encode(examples, config.max_length))
    rows = [row for row in found if isinstance(row, Encoded)]
    dropped = [row for row in found if isinstance(row, Rejected)]
    write_jsonl(bench.folder / "dropped.jsonl", (row.to_row() for row in dropped))
    least = 2 if config.control == "shuffled" else 1
    if len(rows) < least:
        raise UserError(f"train: {len(rows)} of {len(examples)} rows fit into {config.max_length} tokens, "
                        f"and at least {least} are needed", "generate more rows, or raise train.max_length")
    if dropped:
        bench.progress.say(f"{len(dropped)} of {len(examples)} rows are longer than {config.max_length} tokens "
                           "and are left out: dropped.jsonl")
    return rows


def _announce(bench: Bench, config: Config, rows: int, steps: int, tunes: int) -> None:
    both = ", then the control with exchanged answers" if tunes == 2 else ""
    bench.progress.say(f"{config.method}, {rows} rows, {steps} steps{both}")
    log = bench.folder / "loss.jsonl"
    bench.progress.start(steps * tunes, "steps", sum(1 for _ in read_jsonl_so_far(log)))


def _tune(which: str, rows: list[Encoded], config: Config, hyper: Hyper, checkpoint: Checkpoint, encoder: Encoder,
          bench: Bench, before: int) -> None:
    base: BaseTable = bench.tables["base"]
    scratch = bench.scratch / which
    scratch.mkdir(exist_ok=True)
    bench.phase("load")
    loaded = load_model(checkpoint, base.dtype)
    bench.phase("train")
    model = tune(loaded, encoder.tokenizer, rows, hyper, scratch,
                 bench.folder / "loss.jsonl", which, bench.stopping,
                 lambda step, loss: bench.progress.at(before + step, f"{which}, loss {loss:.3f}"))
    if model is None:
        raise Stopped
    bench.phase("save")
    draft = bench.scratch / f"{which}-model"
    shutil.rmtree(draft, ignore_errors=True)
    _save(model, base, draft)
    save_template(draft, encoder)
    draft.rename(bench.folder / FOLDERS[which])
    shutil.rmtree(scratch)


def _save(model: PreTrainedModel, base: BaseTable, folder: Path) -> None:
    """The adapter or the whole model, without a path of this machine in it."""
    if hasattr(model, "peft_config"):
        adapter = model.peft_config["default"]
        adapter.base_model_name_or_path, adapter.revision = base.published, None
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; export writes one with figures
    else:
        model.save_pretrained(folder)


def _losses(log: Path) -> dict[str, dict[str, float]]:
    answer = {}
    for which in FOLDERS:
        losses = [row["loss"] for row in read_jsonl_so_far(log) if row["which"] == which]
        if losses:
            eighth = max(1, len(losses) // 8)
            answer[which] = {"first": round(sum(losses[:eighth]) / eighth, 4),
                             "last": round(sum(losses[-eighth:]) / eighth, 4)}
    return answer


def estimate(config: Config, tables: Mapping[str, Any], known: Known) -> Estimate:
    """UserError for a recipe that cannot be trained."""
    base: BaseTable | None = tables.get("base")
    if base:
        _check(config, base)
    length, machine, job = lengths(known.inputs.get(ROWS)), machine_of(tables), job_of(config, tables, known)
    rows = length.rows or _rows_expected(tables)
    tunes = 2 if config.control == "shuffled" else 1
    steps = config.hyper(0).steps(rows)
    batch = min(rows, config.per_device_train_batch_size * config.gradient_accumulation_steps)
    says = f"{config.method}, {steps:,} steps of {batch} rows" + (", twice (control)" if tunes == 2 else "")
    measured = f"rows of {length.mean:.0f} tokens" + (" (the curated ones)" if length.rows else ", as in the released 52K")
    notes = "".join(_notes(base))
    if base and job and machine.gpu:
        fit, minutes = job.on(machine.gpu), job.minutes(machine.gpu, has_weights(base))
        tight = "" if fit.fits else f"; {fit}"
        return Estimate(minutes, f"{says}, on one {machine.gpu.name}{tight}{notes}",
                        f"{measured}; {PUBLISHED}{'; the shape of the base is guessed from its size' * job.shape.guessed}")
    parameters = base.parameters() if base else None
    if parameters is None:
        return Estimate(NOTHING, f"{says}; the size of the base is not known here, so neither are the minutes{notes}")
    tokens = steps * batch * length.mean * tunes
    seconds = _START_SECONDS * tunes + tokens * parameters * _FLOP[config.method] / _CPU_FLOPS
    minutes = Range.about(seconds / 60, 2)
    return Estimate(minutes, f"{says}, on 2 CPU cores{notes}", f"{measured}; SmolLM2-135M measured on 2 CPU cores")


def job_of(config: Config, tables: Mapping[str, Any], known: Known) -> Job | None:
    """The stage's work by the shape of its base; None where that is not known, and for the tiny stand-in."""
    base: BaseTable | None = tables.get("base")
    shape = shape_of(base) if base else None
    if base is None or shape is None:
        return None
    length = lengths(known.inputs.get(ROWS))
    rows = length.rows or _rows_expected(tables)
    step = min(rows, config.per_device_train_batch_size * config.gradient_accumulation_steps)
    trained = config.max_steps * step if config.max_steps else rows * config.num_train_epochs
    at_once = min(rows, config.per_device_train_batch_size)
    return Job(shape, config.method, base.dtype, config.lora.r, config.lora.target_modules, at_once, config.max_length,
               length, trained * length.mean, trained / at_once, 2 if config.control == "shuffled" else 1)


def _rows_expected(tables: Mapping[str, Any]) -> int:
    curate = tables.get("curate")
    source = getattr(curate, "source", None)
    rows = source.stat().st_size // _BYTES_A_ROW if source else getattr(tables.get("generate"), "count", 0)
    return max(1, min(rows, getattr(curate, "first", None) or rows) - getattr(curate, "held_out", 0))


def _notes(base: BaseTable | None) -> Iterator[str]:
    if base and base.on_hub and base.commit() != base.revision:
        yield (f"; hub revision '{base.revision}' is not pinned: write base.revision: "
               f"{base.commit() or 'the commit, 40 hex digits'}")
    if find_spec("torch") is None:
        yield "; it needs the extra 'train', which is not installed"


_BYTES_A_ROW = 430  # of a JSON file, the released 52K
_START_SECONDS = 12.0  # imports, loading, saving
_FLOP = {"lora": 4, "full": 6}  # a parameter and token: forward 2, gradient of activations 2, of weights 2
_CPU_FLOPS = 120e9  # a second on 2 cores without AMX: SmolLM2-135M, LoRA, 1,000 tokens a step in 4.2 s (2026-11)


STAGE = Stage("train", version=1, config=Config, reads=(ROWS,), uses=("base", "seed"), estimate=estimate, run=run,
              on_gpu=True)
