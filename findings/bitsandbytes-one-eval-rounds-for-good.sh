#!/usr/bin/env bash
# Guess: a 4-bit layer with compute_dtype=float32 computes in float32 on a CPU, in eval and in train mode alike, and a forward pass
# without gradients changes nothing in it.
# What happens (bitsandbytes 0.50.2): on a CPU with AVX512-BF16 the first pass in eval mode lays the packed weights out anew, in
# place. That pass and all later ones, in train mode and with gradients too, go through a kernel that rounds to bfloat16.
# Where it matters: a QLoRA on a CPU that is evaluated on the way is trained otherwise from there on, and scores depend on what was
# asked before. A CPU without AVX512-BF16 has nothing to show, and the script says so.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 bitsandbytes==0.50.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import dequantize_4bit, has_avx512bf16

print("bitsandbytes", bnb.__version__, "torch", torch.__version__)
if not has_avx512bf16():
    print("this CPU has no AVX512-BF16: nothing to see here")
    sys.exit(0)
torch.manual_seed(0)
layer = bnb.nn.Linear4bit(128, 256, bias=False, quant_type="nf4", compute_dtype=torch.float32)
weight = torch.randn(256, 128) * 0.1
layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
layer = layer.to("cpu")
whole = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
x = torch.randn(7, 128)
off = {}
with torch.no_grad():
    for place, mode in enumerate(("train", "eval", "train again")):
        layer.train(mode != "eval")
        off[mode] = float((layer(x) - x @ whole.T).abs().max())
needs = x.clone().requires_grad_()
off["train, with a gradient"] = float((layer(needs) - x @ whole.T).detach().abs().max())
print({mode: f"{value:.1e}" for mode, value in off.items()})
first, *later = off.values()
sys.exit(0 if first < 1e-5 and all(value > 1e-3 for value in later) else 1)
PY
