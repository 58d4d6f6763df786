"""What a tune will take before it runs: tokens from the rows, bytes and minutes from the model's shape and the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_jsonl_so_far
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu
from alpaca_pipe.models.architecture import Architecture
from alpaca_pipe.models.fit import (
    GB,
    Dtype,
    Fit,
    Memory,
    Method,
    checkpoint_bytes,
    fit,
    in_parts,
    memory,
    memory_on_cpu,
    training_flops,
)
from alpaca_pipe.models.speed import loading, reached

TOKENS_ON_CPU = 512  # of a micro-batch, unless one row alone is longer
TOKENS_A_ROW = 130  # the released 52K in LLaMA's tokens, prompt and EOS included: 127.14 on average
_AROUND_ROW = 44  # tokens of the template: 127.14 less those of instruction, input and answer
BYTES_A_TOKEN = 4.2  # of English, LLaMA's tokenizer on the released 52K
# Of each row but the first in a micro-batch, tokens that stand there already: both of Stanford's prompts begin alike. Counted
# with micro_batches on the released 52K in LLaMA's tokens: 25.5, 29.8, 31.9, 33.0 a row at 4, 8, 16, 32 rows at once.
OPENING = 34.06
_SCORED_AT_ONCE = 2048  # tokens of a batch (models/scoring.py)
_LOOKED_AT = 1500  # rows: enough for a mean within 3 %, and read in a hundredth of a second


@dataclass(frozen=True)
class Lengths:
    """How long rows are, in tokens. rows: how many there are, None where nothing is known yet. several: of those looked at,
    the ones with more turns than a question and its answer."""

    mean: float = TOKENS_A_ROW
    rows: int | None = None
    several: int = 0

    @property
    def spread(self) -> float:
        """The factor within which the sum of tokens lies in eight cases of ten."""
        return 1.3 if self.rows is None else 1.08


@cache  # a sealed file does not change
def lengths(file: Path | None) -> Lengths:
    """Of the rows in a sealed file: the first are measured, the others counted."""
    if file is None or not file.is_file():
        return Lengths()
    looked = list(map(Example.from_row, islice(read_jsonl_so_far(file), _LOOKED_AT)))
    sizes = [sum(len(text.encode()) for text in row.texts) for row in looked]
    if not sizes:
        return Lengths()
    with file.open("rb") as lines:
        rows = len(sizes) if len(sizes) < _LOOKED_AT else sum(1 for _ in lines)
    several = sum(len(row.messages) > 2 for row in looked)
    return Lengths(_AROUND_ROW + sum(sizes) / len(sizes) / BYTES_A_TOKEN, rows, several)


@dataclass(frozen=True)
class Job:
    """All tunes of a stage. tokens: trained on in one of them; batches: micro-batches of it."""

    shape: Architecture
    method: Method
    dtype: Dtype
    rank: int
    targets: str | tuple[str, ...]
    rows_at_once: int
    max_length: int
    length: Lengths
    tokens: float
    batches: float
    tunes: int
    opening: float = 0.0  # tokens that a row shares with the others of its micro-batch
    processes: int = 1
    recompute: bool | Literal["auto"] = False
    split: str = ""  # how weights lie in parts: see fit.PARTS
    alone: bool = False  # a step has no more rows than lie in memory at once

    @property
    def computed(self) -> float:
        """Share of the tokens that is computed: an opening that rows share is laid down once (micro_batches.py)."""
        return 1 - min(self.opening / self.length.mean, 0.9) * (1 - 1 / self.rows_at_once)

    def chosen(self, gpu: Gpu) -> Job:
        """The same with `auto` decided: activations are computed again only where they would not fit."""
        if self.recompute != "auto":
            return self
        kept = replace(self, recompute=False)
        room = fit(gpu.name, gpu.memory_gib, kept.worst)
        return kept if room.fits else replace(self, recompute=True)

    @cached_property
    def worst(self) -> Memory:
        """Of a micro-batch whose rows are all as long as they may be."""
        return self._memory(self.max_length)

    @cached_property
    def usual(self) -> Memory:
        """Of a micro-batch of rows that are twice as long as the mean: of a few hundred batches, the longest."""
        return self._memory(min(self.max_length, 2 * self.length.mean))

    def _memory(self, row: float) -> Memory:
        one = memory(
            self.shape,
            self.method,
            self.rows_at_once * row,
            dtype=self.dtype,
            rank=self.rank,
            targets=self.targets,
            recompute=self.recompute is True,
        )
        if not self.split:
            return one
        return in_parts(one, self.shape, self.method, self.split, self.processes)

    def on(self, gpu: Gpu) -> Fit:
        job = self.chosen(gpu)
        return fit(gpu.name, gpu.memory_gib, job.worst, job.usual)

    @cached_property
    def on_cpu(self) -> Memory:
        """Of the whole process, whose micro-batches are short on a CPU (trainer.py)."""
        in_all = self.rows_at_once * self.length.mean
        at_once = min(max(self.max_length, TOKENS_ON_CPU), in_all)
        return memory_on_cpu(
            self.shape,
            self.method,
            at_once,
            rank=self.rank,
            targets=self.targets,
            step=in_all if self.alone else None,
        )

    @cached_property
    def disk(self) -> float:
        """Bytes while it runs: two checkpoints at once, and what every tune leaves."""
        one = checkpoint_bytes(self.shape, self.method, self.rank, self.targets)
        left = self.shape.parameters * 4 if self.method == "full" else one / 3
        return 2 * one + self.tunes * left

    def minutes(self, gpu: Gpu, fetched: bool = False) -> Range:
        """Loading, training and saving of all tunes on one GPU a process. fetched: the base lies on this machine already."""
        again = self.chosen(gpu).recompute is True
        flops = training_flops(
            self.shape.multiplied, self.tokens * self.computed, self.method, again
        )
        once = reached(
            gpu,
            flops / self.processes,
            self.batches / self.processes * self.shape.layers,
            self._guessed * self.length.spread,
        )
        saved = self.shape.parameters * 4 if self.method == "full" else 0.0
        return (
            once.times(self.tunes) + loading(self.shape.parameters, self.tunes, fetched, saved)
        ).times(1 / 60)

    def scoring(self, gpu: Gpu, tokens: float) -> Range:
        """Minutes to score so many tokens on the way: forward only."""
        if not tokens:
            return NOTHING
        flops = training_flops(self.shape.multiplied, tokens) / 3 / self.processes
        batches = tokens / _SCORED_AT_ONCE * self.shape.layers
        return reached(gpu, flops, batches, self._guessed * self.length.spread).times(1 / 60)

    @property
    def _guessed(self) -> float:
        return 1.2 if self.shape.guessed else 1.0

    def cures(self, gpu: Gpu) -> tuple[str, ...]:
        """Where it does not fit, the mildest changes that would make it fit, each with its GB."""
        if self.on(gpu).fits:
            return ()
        ways = (self._fewer_at_once(), self._frozen(), self._in_parts())
        if self.processes > 1:
            ways = (ways[0], ways[2], ways[1])
        first = (next(((how, job) for how, job in way if job.on(gpu).fits), None) for way in ways)
        return tuple(
            f"{found[0]}: {found[1].chosen(gpu).worst.total / GB:.0f} GB"
            for found in first
            if found
        )

    def _fewer_at_once(self) -> Iterator[tuple[str, Job]]:
        """The same steps in smaller pieces: nothing else changes."""
        fewer = self.rows_at_once
        while fewer > 1:
            fewer //= 2
            yield (
                (
                    f"train.per_device_train_batch_size={fewer} and {self.rows_at_once // fewer} times the "
                    "gradient_accumulation_steps"
                ),
                replace(self, rows_at_once=fewer),
            )

    def _in_parts(self) -> Iterator[tuple[str, Job]]:
        """The same numbers, with weights, gradients and optimizer split over more GPUs."""
        if self.method == "qlora" or self.split:
            return
        for count in sorted({self.processes, 2, 4, 8}):
            if count >= max(2, self.processes):
                way = "train.fsdp=true" + (f" train.processes={count}" * (count > self.processes))
                yield way, replace(self, processes=count, split="fsdp")

    def _frozen(self) -> Iterator[tuple[str, Job]]:
        """Another method, or half the bytes for weights that do not change."""
        way = "train.method=lora" if self.method == "full" else ""
        if way:
            yield way, replace(self, method="lora")
        if self.dtype == "float32":
            half = replace(self, method="lora", dtype="bfloat16")
            way = f"{way} base.dtype=bfloat16".lstrip()
            yield way, half
            yield f"{way} train.per_device_train_batch_size=1", replace(half, rows_at_once=1)
