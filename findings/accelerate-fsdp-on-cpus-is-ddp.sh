#!/usr/bin/env bash
# Guess: two gloo processes on CPUs that are given a FullyShardedDataParallelPlugin (fsdp_version=2) shard the model, as two GPUs
# would, or an error says that this is for accelerators only: torch's fully_shard works over gloo.
# What happens (accelerate 1.15.0): the plugin is passed over without a word. The distributed type is MULTI_CPU, the model comes back
# wrapped in DDP, each process holds all of every weight.
# Where it matters: tests of sharded training on machines without a GPU. They pass, and nothing that is sharded was tested;
# transformers' Trainer(fsdp=True) is one caller.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 accelerate==1.15.0
cd "$dir"
cat > each.py <<'PY'
import accelerate, torch, warnings
from accelerate.utils import FullyShardedDataParallelPlugin
from torch.distributed.fsdp import fully_shard

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    accelerator = accelerate.Accelerator(cpu=True, fsdp_plugin=plugin)
    layer = torch.nn.Linear(4, 4, bias=False)
    model, _ = accelerator.prepare(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
about = [str(one.message) for one in said if "fsdp" in str(one.message).lower()]
kind, held = type(model).__name__, next(model.parameters()).numel()
sharded = fully_shard(torch.nn.Linear(4, 4, bias=False))
part = next(sharded.parameters()).to_local().numel()
if accelerator.is_main_process:
    print(f"accelerate {accelerate.__version__}: {accelerator.distributed_type}, {kind}, {held} of 16 values here, "
          f"warnings {about}; torch's own fully_shard: {part} of 16")
assert kind == "DistributedDataParallel" and held == 16 and not about and part == 8
torch.distributed.destroy_process_group()
PY
venv/bin/python -m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1 each.py
