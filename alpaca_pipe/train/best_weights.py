"""The trained weights of the lowest held-out loss so far: one file in the tune's scratch folder, put back at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.train.sharding import fill, rest_in_parts, whole
from alpaca_pipe.train.together import place_and_count

if TYPE_CHECKING:
    import torch

_FILE = "best.safetensors"
NOTE = "best_checkpoint.json"  # in the model's folder: which one it is


@dataclass(frozen=True)
class Best:
    step: int
    eval_loss: float


def keep_best(model: torch.nn.Module, scratch: Path, best: Best) -> None:
    """What is trained, as it is now; whole or not at all. Every process must ask, and the first one writes."""
    from safetensors.torch import save_file

    rest_in_parts(model)
    first, trained = place_and_count()[0] == 0, {}
    for name, one in _trained(model):
        weight = whole(one)
        if first:
            trained[name] = weight.cpu().contiguous()
    if not first:
        return
    new = scratch / f"{_FILE}.new"
    save_file(trained, new, {"step": str(best.step), "eval_loss": repr(best.eval_loss)})
    new.replace(scratch / _FILE)


def best_so_far(scratch: Path) -> Best | None:
    from safetensors import safe_open

    if not (scratch / _FILE).exists():
        return None
    with safe_open(scratch / _FILE, "pt") as file:
        note = file.metadata()
    return Best(int(note["step"]), float(note["eval_loss"]))


def put_back(model: torch.nn.Module, scratch: Path) -> None:
    """The kept weights take the place of those that the last step left."""
    import torch
    from safetensors import safe_open

    rest_in_parts(model)
    with safe_open(scratch / _FILE, "pt") as file, torch.no_grad():
        for name, weight in _trained(model):
            fill(weight, file.get_tensor(name))


def _trained(model: torch.nn.Module) -> Any:
    return ((name, one) for name, one in model.named_parameters() if one.requires_grad)
