"""The reward model and the model that it judges mostly begin at the same base: what nobody trains lies in memory once."""

from __future__ import annotations

from typing import Any


def share_frozen(judge: Any, model: Any) -> int:
    """Gives the judge the memory of the model's frozen weights that equal its own, name by name; answers how many they were.
    Neither's numbers change."""
    import torch

    frozen = {
        _plain(name): weight
        for name, weight in model.named_parameters()
        if not weight.requires_grad
    }
    shared = 0
    for name, weight in judge.named_parameters():
        other = frozen.get(_plain(name))
        if other is None or (other.dtype, other.device) != (weight.dtype, weight.device):
            continue
        if torch.equal(other, weight):
            weight.data = other.data
            shared += 1
    return shared


def _plain(name: str) -> str:
    """A weight's name without what adapters put before and into it."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")
