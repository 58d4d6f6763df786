"""The loss of what is learned: head and cross-entropy a part at a time, so that no logits of a whole batch are kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_AT_ONCE = 128  # places; 128 x 128,256 logits in fp32 are 66 MB


def summed_nats(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The sum of -ln p(target) over places, with its gradient.

    hidden (places, size), before the head; weight (vocabulary, size), the head's; targets (places,) token ids.
    The gradient is made on the way forward: the logits are never there all at once, nor computed twice.
    """
    found: torch.Tensor = _summed().apply(hidden, weight, targets)
    return found


def _summed() -> Any:
    import torch

    class SummedNats(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            weight: torch.Tensor,
            targets: torch.Tensor,
        ) -> torch.Tensor:
            wants_hidden, wants_weight = ctx.needs_input_grad[:2]
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            d_hidden = torch.empty_like(hidden) if wants_hidden else None
            d_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
            head = weight.to(hidden.dtype)
            for start in range(0, len(targets), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                logits = (hidden[part] @ head.T).float()
                total += torch.nn.functional.cross_entropy(logits, targets[part], reduction="sum")
                if d_hidden is None and d_weight is None:
                    continue
                slope = logits.softmax(dim=-1)
                slope[torch.arange(len(slope), device=slope.device), targets[part]] -= 1
                slope = slope.to(hidden.dtype)
                if d_hidden is not None:
                    d_hidden[part] = slope @ head
                if d_weight is not None:
                    d_weight += slope.T @ hidden[part]
            ctx.save_for_backward(d_hidden, d_weight)
            ctx.dtype = weight.dtype
            return total

        @staticmethod
        def backward(ctx: Any, scale: torch.Tensor) -> Any:
            d_hidden, d_weight = ctx.saved_tensors
            return (
                None if d_hidden is None else d_hidden * scale.to(d_hidden.dtype),
                None if d_weight is None else (d_weight * scale).to(ctx.dtype),
                None,
            )

    return SummedNats


@contextmanager
def without_head(head: torch.nn.Module) -> Iterator[None]:
    """Inside, the model's output head hands on what it is given: the hidden states, where the logits would stand."""
    forward, head.forward = head.forward, lambda hidden, *args, **more: hidden  # type: ignore[method-assign]
    try:
        yield
    finally:
        head.forward = forward  # type: ignore[method-assign]
