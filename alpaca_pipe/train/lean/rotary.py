"""Rotary positions of heads that lie side by side; nothing is kept for the backward pass but the angles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def rotated(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """heads (places, heads, size); cos, sin (places, 1, size / 2). The first half of a head turns with the second."""
    found: torch.Tensor = _rotated().apply(heads, cos, sin)
    return found


def turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, way: int) -> torch.Tensor:
    """way: 1 forward, -1 back."""
    import torch

    (a, b), out = heads.chunk(2, dim=-1), torch.empty_like(heads)
    one, other = out.chunk(2, dim=-1)
    torch.mul(a, cos, out=one).addcmul_(b, sin, value=-way)
    torch.mul(b, cos, out=other).addcmul_(a, sin, value=way)
    return out


@cache
def _rotated() -> Any:
    import torch

    class Rotated(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
        ) -> torch.Tensor:
            ctx.save_for_backward(cos, sin)
            return turned(heads, cos, sin, 1)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            cos, sin = ctx.saved_tensors
            return turned(grad, cos, sin, -1), None, None

    return Rotated
