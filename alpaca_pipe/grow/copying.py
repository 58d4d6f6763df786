"""The weights of a larger LLaMA as copies of a smaller one's: wider by Net2Net, deeper by stacking or by zero blocks.

Stacking: layers 1..L, 1..L, ... (G_stack, arXiv:2405.15319). Zero blocks: copies of layers between the old ones whose output
projections are zero, so that they add nothing until they are trained (LLaMA Pro, arXiv:2401.02415).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.grow.widths import Side, Sides

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]

EMBEDDING, HEAD, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)$")
NORMS = ("input_layernorm", "post_attention_layernorm")
SPREAD = 0.02  # of what is drawn for places that hold nothing yet: LLaMA's initializer_range
_OUTPUTS = ("self_attn.o_proj", "mlp.down_proj")  # what a layer adds to the residual

# Part of a layer -> (what it writes, what it reads), by the names of Sides.
LINEAR: Mapping[str, tuple[str, str]] = {
    "self_attn.q_proj": ("heads", "hidden"),
    "self_attn.k_proj": ("kv_heads", "hidden"),
    "self_attn.v_proj": ("kv_heads", "hidden"),
    "self_attn.o_proj": ("hidden", "heads"),
    "mlp.gate_proj": ("feed_forward", "hidden"),
    "mlp.up_proj": ("feed_forward", "hidden"),
    "mlp.down_proj": ("hidden", "feed_forward"),
}


def place_of(name: str) -> tuple[int, str, str]:
    """(layer, part, weight or bias) of a weight inside a layer. UserError for a part that no LLaMA has."""
    found = _LAYER.match(name)
    if not found or (found[2] not in LINEAR and found[2] not in NORMS):
        raise UserError(
            f"grow: the base has a weight {name}, and only a LLaMA's are known to it",
            "grow a model whose config.json says model_type llama",
        )
    return int(found[1]), found[2], found[3]


def widened(weights: Weights, sides: Sides, head: int, generator: torch.Generator) -> Weights:
    """The same model with wider sides, all else equal: in float64, whatever they came in. head: width of a head."""
    of = {
        "hidden": sides.hidden,
        "feed_forward": sides.feed_forward,
        "heads": sides.heads.in_heads(head),
        "kv_heads": sides.kv_heads.in_heads(head),
    }
    tied = HEAD not in weights
    done: Weights = {}
    for name, given in weights.items():
        weight = given.double()
        if name == EMBEDDING:
            done[name] = sides.hidden.written(weight.T).T
        elif name == HEAD:
            done[name] = _read(sides.hidden, weight, generator)
        elif name == FINAL_NORM:
            done[name] = norm_widened(weight, sides) * (sides.hidden.shares if tied else 1)
        else:
            _, part, kind = place_of(name)
            if part in NORMS:
                done[name] = norm_widened(weight, sides)
                continue
            writes, reads = (of[side] for side in LINEAR[part])
            wide = writes.written(weight)
            done[name] = wide if kind == "bias" else _read(reads, wide, generator)
    return {name: weight.contiguous() for name, weight in done.items()}


def _read(side: Side, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    import torch

    shape = (len(weight), len(side.copies))
    return side.read(weight, SPREAD * torch.randn(shape, generator=generator))


def norm_widened(weight: torch.Tensor, sides: Sides) -> torch.Tensor:
    """The weight of a norm over the wider residual, whose mean square is smaller by `norm`."""
    found = weight[sides.hidden.copies.clamp(min=0)]
    mean = weight.mean()
    found = found.where(~sides.hidden.empty, mean)
    return found * float(sides.norm) ** 0.5


def stacked(layers: int, wanted: int) -> list[tuple[int, bool]]:
    """(which layer it is a copy of, whether it adds something) for each of the new layers."""
    return [(place % layers, True) for place in range(wanted)]


def with_zero_blocks(layers: int, wanted: int) -> list[tuple[int, bool]]:
    """The same: each old layer, and behind it its copies that add nothing; spread evenly where it does not divide."""
    more = wanted - layers
    found: list[tuple[int, bool]] = []
    for place in range(layers):
        copies = (place + 1) * more // layers - place * more // layers
        found += [(place, True), *[(place, False)] * copies]
    return found


def deepened(weights: Weights, plan: list[tuple[int, bool]]) -> Weights:
    """The model with its layers laid out by a plan of `stacked` or `with_zero_blocks`."""
    done = {name: weight for name, weight in weights.items() if not _LAYER.match(name)}
    layers: dict[int, Weights] = {}
    for name, weight in weights.items():
        if name not in done:
            layer, part, kind = place_of(name)
            layers.setdefault(layer, {})[f"{part}.{kind}"] = weight
    for place, (source, adds) in enumerate(plan):
        for name, weight in layers[source].items():
            part = name.rpartition(".")[0]
            zero = part in _OUTPUTS and not adds
            done[f"model.layers.{place}.{name}"] = weight * 0 if zero else weight.clone()
    return done
