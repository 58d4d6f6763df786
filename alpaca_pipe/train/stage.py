"""[train] tunes the base on the curated rows, LoRA or full, and a control on the same rows with shuffled answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_json, read_jsonl, write_json, write_jsonl
from alpaca_pipe.core.table import Knob, Table
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.template import TEMPLATES, Encoded, Encoder, TemplateName, show_mask
from alpaca_pipe.recipe.stage import Bench, Estimate, Outcome, Stage, StageConfig
from alpaca_pipe.train.control import shuffled
from alpaca_pipe.train.sft import Tune, tune
from alpaca_pipe.weights.base import TINY, BaseTable, resolve

ROWS = "curate/train.jsonl"


class Lora(Table):
    """peft's LoraConfig, by its names."""

    r: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class Config(StageConfig):
    """How the base is tuned. Names are those of HF's TrainingArguments."""

    renamed: ClassVar[Mapping[str, str]] = {
        "warmup_ratio": "warmup_steps", "max_seq_length": "max_length", "cutoff_len": "max_length",
        "micro_batch_size": "per_device_train_batch_size", "num_epochs": "num_train_epochs", "lr": "learning_rate"}

    method: Literal["lora", "full"] = "lora"
    template: TemplateName = Field("alpaca", description="the text around an instruction; chat is the base's own")
    learning_rate: float | None = Field(None, gt=0, description="default: 2e-4 for lora, 2e-5 (Stanford's) for full")
    num_train_epochs: int = Field(3, ge=1)
    max_steps: int | None = Field(None, ge=1, description="in place of epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="rows at once; they stand without padding")
    gradient_accumulation_steps: int = Field(1, ge=1)
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup_steps: float = Field(0.03, ge=0, description="steps; below 1, the share of all steps")
    weight_decay: float = Field(0.0, ge=0)
    max_length: int = Field(512, ge=16, description="tokens; a longer row is left out with its reason")
    lora: Lora = Lora()
    control: Literal["shuffled", "none"] = Field("shuffled", description="a second tune of equal steps on the same rows "
                                                 "with the answers shuffled, for evaluate to compare with")
    save_steps: Annotated[int, Knob()] = Field(50, ge=1, description="steps between two checkpoints to resume from")

    def rehearsed(self) -> Self:
        return self.model_copy(update={"max_steps": 4, "per_device_train_batch_size": 4,
                                       "gradient_accumulation_steps": 1})

    @property
    def batch(self) -> int:
        """Rows in one optimizer step."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def steps(self, rows: int) -> int:
        return self.max_steps or self.num_train_epochs * math.ceil(rows / self.batch)

    def arguments(self, rows: int) -> dict[str, Any]:
        """As TrainingArguments wants them."""
        rate = self.learning_rate or (2e-4 if self.method == "lora" else 2e-5)
        names = ("per_device_train_batch_size", "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps",
                 "weight_decay", "save_steps")
        return {"learning_rate": rate, "max_steps": self.steps(rows), **{name: getattr(self, name) for name in names}}


def run(config: Config, bench: Bench) -> Outcome:
    """Writes model/ and control/ (an adapter or a full model each, with tokenizer and template), loss.jsonl, dropped.jsonl.

    Summary: rows, dropped, steps, tokens and learned tokens a pass, last_loss of each tune.
    """
    base: BaseTable = bench.tables["base"]
    checkpoint = resolve(base, bench.progress.say)
    encoder = Encoder(load_tokenizer(checkpoint), TEMPLATES[config.template])
    examples = [Example.from_row(row) for row in read_jsonl(bench.inputs[ROWS])]
    rows, dropped = _encoded(encoder, examples, config.max_length)
    write_jsonl(bench.folder / "dropped.jsonl", (row.to_row() for row in dropped))
    if len(rows) < 2:
        raise UserError(f"train: {len(rows)} of {len(examples)} rows fit into {config.max_length} tokens",
                        "raise train.max_length, or bring more rows")
    tunes = {"tuned": ("model", rows)}
    if config.control == "shuffled":
        tunes["control"] = ("control", _encoded(encoder, shuffled(examples, bench.seed), config.max_length)[0])
    lora = config.lora.model_dump() if config.method == "lora" else None
    job = Tune(checkpoint, base.dtype, lora, config.arguments(len(rows)), bench.seed)
    losses = _tune_all(job, tunes, encoder, bench, config.steps(len(rows)))
    write_jsonl(bench.folder / "loss.jsonl", losses)
    last = {which: next(row["loss"] for row in reversed(losses) if row["which"] == which) for which in tunes}
    return Outcome({"rows": len(rows), "dropped": len(dropped), "steps": config.steps(len(rows)), "method": config.method,
                    "tokens": sum(len(row.ids) for row in rows), "learned_tokens": sum(row.learned for row in rows),
                    "last_loss": last})


def _tune_all(job: Tune, tunes: Mapping[str, tuple[str, Sequence[Encoded]]], encoder: Encoder, bench: Bench,
              steps: int) -> list[dict[str, Any]]:
    """One tune after the other; one that an interrupted run finished is not done again."""
    bench.progress.start(steps * len(tunes), "steps")
    losses: list[dict[str, Any]] = []
    for turn, (which, (name, rows)) in enumerate(tunes.items()):
        note = bench.scratch / f"{which}.json"
        if not note.exists():
            bench.stop_here()
            found = tune(job, rows, encoder, bench.scratch / which, bench.folder / name,
                         _says(bench, which, turn * steps), bench.stopping)
            write_json(note, [{"which": which} | row for row in found])
        losses += read_json(note)
        bench.progress.at((turn + 1) * steps)
    return losses


def _says(bench: Bench, which: str, before: int) -> Any:
    return lambda step, loss: bench.progress.at(before + step, f"{which}: loss {loss:.3f}")


def _encoded(encoder: Encoder, examples: Sequence[Example], max_length: int) -> tuple[list[Encoded], list[Rejected]]:
    found = list(encoder.encode(examples, max_length))
    return [row for row in found if isinstance(row, Encoded)], [row for row in found if isinstance(row, Rejected)]


def estimate(config: Config, tables: Mapping[str, Any]) -> Estimate:
    rows = max(2, getattr(tables.get("generate"), "count", 100) - getattr(tables.get("curate"), "held_out", 0))
    tunes = 1 + (config.control == "shuffled")
    steps = config.steps(rows) * tunes
    says = f"{config.method}: {tunes} tunes of {config.steps(rows)} steps of {config.batch} rows"
    if tables["base"].model == TINY:
        return Estimate(0.3, f"{says}, on a tiny model")
    seconds = _LOAD_SECONDS * tunes + steps * config.batch * _ROW_SECONDS[config.method]
    return Estimate(seconds / 60, f"{says}, at the speed of 135M parameters on 2 CPU cores")


_LOAD_SECONDS = 10.0
_ROW_SECONDS = {"lora": 0.6, "full": 0.9}  # of about 100 tokens; SmolLM2-135M in fp32 on 2 cores, 2026-11


def print_mask(tables: Mapping[str, Any], path: Path, place: int) -> None:
    """`show-mask`: one training row, what is learned in colour, the prompt dim."""
    from rich.console import Console
    from rich.text import Text

    config: Config = tables["train"]
    encoder = Encoder(load_tokenizer(resolve(tables["base"])), TEMPLATES[config.template])
    examples = [Example.from_row(row) for row in read_jsonl(path)]
    if place >= len(examples):
        raise UserError(f"there are {len(examples)} training rows, the first is 0", f"--row 0 to {len(examples) - 1}")
    encoded = next(iter(encoder.encode(examples[place:place + 1], config.max_length)))
    if isinstance(encoded, Rejected):
        raise UserError(f"row {place} is left out: {encoded.reason}", "choose another with --row")
    pieces = list(_marked(encoded, encoder))
    console = Console(highlight=False)
    console.print(Text.assemble(*((text, "bold green" if learned else "dim") for text, learned in pieces)))
    console.print(f"{len(encoded.ids)} tokens, {encoded.learned} learned, the last of them EOS: "
                  f"{encoder.tokenizer.eos_token}", markup=False)


def _marked(encoded: Encoded, encoder: Encoder) -> Iterator[tuple[str, bool]]:
    for piece in show_mask(encoded, encoder.tokenizer):
        yield piece.text, piece.learned


STAGE = Stage("train", version=1, config=Config, run=run, estimate=estimate, reads=(ROWS,), uses=("base", "seed"))
