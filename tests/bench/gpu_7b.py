"""LLaMA-7B's shape with random weights, real rows, one GPU, under 12 minutes: tokens a second, MFU, peak memory, the forecast.

python -m tests.bench.gpu_7b [--tiny] [--seconds 75] [--who full,lora,lora-fp8,qlora,padded]

Rows: the released 52K in the tokens of LLaMA's tokenizer (from ALPACA_PIPE_DATA), in the order of the file. `padded` is the
reference's way: four rows side by side, each as long as the longest, LoRA. Every contender runs until its seconds are over;
the first two steps are not counted. `lora-fp8` is left out, with a word, where torchao is not installed. --tiny: two layers and rows of a byte tokenizer, to see on a CPU that it runs.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.ledger.pricing.gpu_rates import gpus
from alpaca_pipe.models.architecture import LLAMA_7B, Architecture
from alpaca_pipe.models.fit import flop_a_token
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.train.cost_estimate import Job, Lengths
from alpaca_pipe.train.hyperparameters import Hyperparameters, Kernels
from tests.bench.table import publish

TINY = Architecture(64, 128, 2, 4, 4, 259)
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}
ROWS_A_STEP, AT_ONCE, UNCOUNTED = 128, 32, 2


class Enough(Exception):
    """The seconds of a contender are over."""


class Clock:
    """Told each step; remembers when it ended, and ends the tune."""

    def __init__(self, seconds: float, steps: int) -> None:
        self.times: list[float] = []
        self._until, self._steps = time.perf_counter() + seconds, steps

    def __call__(self, step: int, loss: float) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) > UNCOUNTED and (
            self.times[-1] > self._until or len(self.times) >= self._steps
        ):
            raise Enough

    def seconds_a_step(self) -> float:
        counted = self.times[UNCOUNTED:]
        return (counted[-1] - self.times[UNCOUNTED - 1]) / len(counted)


def method_of(who: str) -> Any:
    return "lora" if who == "padded" else who.removesuffix("-fp8")


def rows_and_tokenizer(tiny: bool, count: int) -> tuple[list[Encoded], Any]:
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.weights.base import Checkpoint
    from alpaca_pipe.weights.tiny import byte_tokenizer

    data = Path(os.environ.get("ALPACA_PIPE_DATA", "../shared/data"))
    with gzip.open(data / "alpaca_data.json.gz") as stream:
        rows = json.load(stream)[:count]
    tokenizer = (
        byte_tokenizer() if tiny else load_tokenizer(Checkpoint(str(data / "llama_tokenizer")))
    )
    examples = [Example.of(r["instruction"], r["input"], r["output"], Origin("seed")) for r in rows]
    found = Encoder(tokenizer, TEMPLATES["alpaca"]).encode(examples, 2048 if tiny else 512)
    return [row[0] for row in found if not isinstance(row, Rejected)], tokenizer


def model_of(shape: Architecture, method: str) -> Any:
    """Random weights, made where they are used; of qlora quantised from a folder, as its road goes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from alpaca_pipe.models.loading import device, load_model
    from alpaca_pipe.weights.base import Checkpoint

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=int(shape.hidden),
        intermediate_size=int(shape.feed_forward),
        num_hidden_layers=int(shape.layers),
        num_attention_heads=int(shape.heads),
        num_key_value_heads=int(shape.kv_heads),
    )
    on_gpu = device().type == "cuda"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if method != "full" and on_gpu else torch.float32)
    try:
        with device():
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    if method != "qlora":
        return model
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_model(Checkpoint(folder), "bfloat16" if on_gpu else "float32", nf4=True)


def kernels_of(who: str) -> Kernels:
    """Liger's where they are installed; `lora-fp8`: fp8 by torchao, compiled. On a CPU none: torch's own code runs whole."""
    import torch

    if not torch.cuda.is_available():
        return Kernels()
    fp8 = who.endswith("-fp8")
    return Kernels(find_spec("liger_kernel") is not None, torch_compile=fp8, tf32=True, fp8=fp8)


def ours(
    shape: Architecture, who: str, rows: list[Encoded], tokenizer: Any, clock: Clock, step: int
) -> None:
    from alpaca_pipe.train.sft import tune

    at_once, method = min(AT_ONCE, step), method_of(who)
    lora = None if method == "full" else LORA
    hyper = Hyperparameters(2e-5, 50.0, None, at_once, step // at_once, "constant", 0, 0.0, 0, lora)
    hyper = replace(hyper, kernels=kernels_of(who))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = model_of(shape, method)
        tune(model, tokenizer, rows, hyper, place, place / "loss.jsonl", "tuned", at=clock)


def padded(
    shape: Architecture, rows: list[Encoded], clock: Clock, step: int, at_once: int = 4
) -> None:
    """The reference's batches of four, each row as long as the longest of them, in a plain loop."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model_of(shape, "lora"), LoraConfig(**LORA, task_type="CAUSAL_LM"))
    where = next(model.parameters()).device
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, 2e-5)
    for first in range(0, len(rows), step):
        group = rows[first : first + step]
        for start in range(0, len(group), at_once):
            part = group[start : start + at_once]
            longest = max(len(row.ids) for row in part)
            ids = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in part])
            labels = torch.tensor(
                [
                    [i if m else -100 for i, m in zip(row.ids, row.mask, strict=True)]
                    + [-100] * (longest - len(row.ids))
                    for row in part
                ]
            )
            mask = (torch.arange(longest)[None] < torch.tensor([[len(r.ids)] for r in part])).long()
            with torch.autocast(where.type, torch.bfloat16, enabled=where.type == "cuda"):
                loss = model(
                    input_ids=ids.to(where),
                    attention_mask=mask.to(where),
                    labels=labels.to(where),
                    use_cache=False,
                ).loss
            (loss * len(part) / len(group)).backward()
        optimizer.step()
        optimizer.zero_grad()
        clock(first // step + 1, float(loss.detach()))


def contender(
    who: str, shape: Architecture, rows: list[Encoded], tokenizer: Any, seconds: float, step: int
) -> dict[str, Any]:
    import torch

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    clock = Clock(seconds, len(rows) // step)
    try:
        if who == "padded":
            padded(shape, rows, clock, step)
        else:
            ours(shape, who, rows, tokenizer, clock, step)
    except Enough:
        pass
    gc.collect()
    method = method_of(who)
    tokens = step * sum(len(row.ids) for row in rows) / len(rows) / clock.seconds_a_step()
    flops = flop_a_token(shape.multiplied, method)
    name = torch.cuda.get_device_name().split()[-1] if on_gpu else ""
    gpu = gpus().get(name)
    line = {
        "who": who,
        "kernels": ", ".join(kernels_of(who).named()) if who != "padded" else "",
        "real tokens/s": round(tokens),
        "MFU": f"{tokens * flops / gpu.bf16_tflops / 1e12:.2f}" if gpu else "",
        "peak GB": round(torch.cuda.max_memory_allocated() / 1e9, 1) if on_gpu else "",
    }
    return line | (_forecast(shape, method, rows, gpu, step) if gpu and who != "padded" else {})


def _forecast(
    shape: Architecture, method: Any, rows: Sequence[Encoded], gpu: Any, step: int
) -> dict[str, Any]:
    """What `plan` says of the same: the memory of its worst micro-batch, and tokens a second."""
    tokens = float(sum(len(row.ids) for row in rows))
    dtype: Any = "float32" if method == "full" else "bfloat16"
    length = Lengths(tokens / len(rows), len(rows))
    job = Job(
        shape, method, dtype, 16, "all-linear", AT_ONCE, 512, length, tokens, len(rows) / step, 1
    )
    seconds = job.minutes(gpu, fetched=True).times(60)
    return {
        "planned GB": round(job.usual.total / 1e9, 1),
        "planned tokens/s": f"{tokens / seconds.p90:.0f} to {tokens / seconds.p10:.0f}",
    }


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tiny", action="store_true")
    asked.add_argument("--seconds", type=float, default=75)
    asked.add_argument("--who", default="full,lora,lora-fp8,qlora,padded")
    told = asked.parse_args(arguments)
    step = 4 if told.tiny else ROWS_A_STEP
    rows, tokenizer = rows_and_tokenizer(told.tiny, 20 if told.tiny else 12_800)
    shape = TINY if told.tiny else LLAMA_7B
    names = told.who.split(",")
    if "lora-fp8" in names and not told.tiny and find_spec("torchao") is None:
        print("lora-fp8 is left out: torchao is not installed")
        names.remove("lora-fp8")
    found = [contender(who, shape, rows, tokenizer, told.seconds, step) for who in names]
    publish("gpu_7b", found)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
