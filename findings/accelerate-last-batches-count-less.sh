#!/usr/bin/env bash
# Guess: in the loop of the manual (`with accelerator.accumulate(model)`) every step of the optimizer sees the mean gradient of the
# batches since the last one, the last step of an epoch too.
# What happens (accelerate 1.15.0): `backward` divides by `gradient_accumulation_steps` whatever the group holds. An epoch of 5
# batches in groups of 4 ends with a step whose gradient is a quarter of the mean.
# Where it matters: small datasets. With plain SGD the last step is short; with Adam or clipping it counts like a whole one, and
# mixes a gradient of another size into the moments. A gradient that is the same in each batch shows it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 accelerate==1.15.0
cd "$dir"
venv/bin/python - <<'PY'
import accelerate, torch


def steps(batches: int) -> list[float]:
    """What each step of SGD moves a weight whose gradient is 1 in every batch."""
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4)
    layer = torch.nn.Linear(1, 1, bias=False)
    data = torch.utils.data.DataLoader(torch.ones(batches, 1), batch_size=1)
    model, optimizer, data = accelerator.prepare(layer, torch.optim.SGD(layer.parameters(), lr=1.0), data)
    moved, before = [], layer.weight.item()
    for batch in data:
        with accelerator.accumulate(model):
            accelerator.backward(model(batch).mean())
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            moved.append(round(before - layer.weight.item(), 4))
            before = layer.weight.item()
    return moved


print(f"accelerate {accelerate.__version__}: 8 batches {steps(8)}, 5 batches {steps(5)}")
assert steps(8) == [1.0, 1.0] and steps(5) == [1.0, 0.25]
PY
