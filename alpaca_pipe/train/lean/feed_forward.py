"""The gated feed-forward's second half: silu(gate) up, and the layer down, of which only gate and up are kept."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.lean.linears import Linear, backward, forward

if TYPE_CHECKING:
    import torch


def gated_down(
    gate: torch.Tensor, up: torch.Tensor, layer: Linear, onto: torch.Tensor | None = None
) -> torch.Tensor:
    """layer(silu(gate) up) + onto."""
    parts = (layer.weight, layer.bias, layer.down, layer.up)
    found: torch.Tensor = _gated_down().apply(gate, up, onto, layer.scale, *parts)
    return found


@cache
def _gated_down() -> Any:
    import torch

    silu, silu_backward = torch.nn.functional.silu, torch.ops.aten.silu_backward

    class GatedDown(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            gate: torch.Tensor,
            up: torch.Tensor,
            onto: torch.Tensor | None,
            scale: float,
            *parts: torch.Tensor | None,
        ) -> torch.Tensor:
            inner = silu(gate).mul_(up).reshape(-1, gate.shape[-1])
            added = None if onto is None else onto.reshape(-1, onto.shape[-1])
            made, low = forward(inner, parts, (scale,), added)
            ctx.save_for_backward(gate, up, low, *parts)
            ctx.scale = scale
            return made[0].view(*gate.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            gate, up, low, *parts = ctx.saved_tensors
            wants = ctx.needs_input_grad
            opened = silu(gate)
            inner = (opened * up).reshape(-1, gate.shape[-1])
            wants_x = wants[0] or wants[1]
            flat = grad.reshape(-1, grad.shape[-1])
            found = backward(inner, (flat,), tuple(parts), (ctx.scale,), low, wants[4:], wants_x)
            d_gate = d_up = None
            if found.x is not None:
                slope = found.x.view(gate.shape)
                d_up = opened.mul_(slope)
                d_gate = silu_backward(slope.mul_(up), gate)
            return d_gate, d_up, grad if wants[2] else None, None, *found.weights

    return GatedDown
