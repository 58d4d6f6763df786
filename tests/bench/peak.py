"""The memory that a tune on a CPU really takes, beside what `plan` says: three shapes, three methods, a process each.

python -m tests.bench.peak        about 10 minutes of 2 cores; the figures stand in tests/models/test_fit.py
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from alpaca_pipe.models.architecture import Architecture
from alpaca_pipe.models.fit import Method, memory_on_cpu
from tests.bench.table import ROOT, publish
from tests.models.test_fit import CPU_SHAPES

METHODS: tuple[Method, ...] = ("lora", "full", "qlora")
TOKENS, AT_ONCE = 128, 8  # of a row; rows: two micro-batches a step, or one of full tuning


def of_process(folder: Path, method: str) -> float:
    """Bytes at the height of this process, which tunes the model in `folder` for three steps."""
    import torch

    from alpaca_pipe.models.loading import load_model
    from alpaca_pipe.models.loss_mask import Encoded
    from alpaca_pipe.train.hyperparameters import Hyperparameters
    from alpaca_pipe.train.sft import tune
    from alpaca_pipe.weights.base import Checkpoint
    from alpaca_pipe.weights.tiny import byte_tokenizer

    torch.set_num_threads(1)
    draw, mask = random.Random(0), tuple(place >= TOKENS * 0.4 for place in range(TOKENS))
    rows = [
        Encoded(tuple(draw.randrange(3, 250) for _ in range(TOKENS)), mask)
        for _ in range(3 * AT_ONCE)
    ]
    lora = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}
    adapter = None if method == "full" else lora
    hyper = Hyperparameters(1e-5, 1.0, None, AT_ONCE, 1, "constant", 0, 0.0, 0, adapter)
    model = load_model(Checkpoint(str(folder)), "float32", nf4=method == "qlora")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        tune(model, byte_tokenizer(), rows, hyper, place, place / "loss.jsonl", "tuned")
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def make(shape: Architecture, folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=int(shape.hidden),
        intermediate_size=int(shape.feed_forward),
        num_hidden_layers=int(shape.layers),
        num_attention_heads=int(shape.heads),
        num_key_value_heads=int(shape.kv_heads),
        tie_word_embeddings=shape.tied,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def main() -> None:
    lines = []
    for name, shape in CPU_SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            make(shape, Path(folder))
            for method in METHODS:
                asked = [sys.executable, "-m", "tests.bench.peak", folder, method]
                done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
                peak = json.loads(done.stdout.splitlines()[-1])
                step = TOKENS * AT_ONCE
                planned = memory_on_cpu(shape, method, step / 2, step=step).total
                print(f"  {name}, {method}: {peak / 1e9:.2f} GB", flush=True)
                lines.append(
                    {
                        "shape": name,
                        "method": method,
                        "measured GB": round(peak / 1e9, 2),
                        "planned GB": round(planned / 1e9, 2),
                        "off": f"{planned / peak - 1:+.1%}",
                    }
                )
    publish("peak", lines)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(of_process(Path(sys.argv[1]), sys.argv[2])))
    else:
        main()
