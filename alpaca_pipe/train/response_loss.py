"""The loss of what is learned: head and cross-entropy a part at a time, so that no logits of a whole batch are kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.lean.products import product

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_AT_ONCE = 128  # places; 128 x 128,256 logits in fp32 are 66 MB


def summed_nats(
    hidden: torch.Tensor,
    head: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None = None,
    dft: bool = False,
) -> torch.Tensor:
    """The sum of -w ln p(target) over places, with its gradient.

    hidden (places, size), before the head; head (vocabulary, size), its weights; targets (places,) token ids; weights
    (places,), None: all 1. dft: each place also times its own p(target), which is held fixed (arXiv:2508.05629).
    The gradient is made on the way forward: the logits are never there all at once, nor computed twice.
    """
    found: torch.Tensor = _summed().apply(hidden, head, targets, weights, dft)
    return found


def nats_of_logits(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None, dft: bool
) -> torch.Tensor:
    """The same of logits (places, vocabulary) that are there already."""
    import torch

    if weights is None and not dft:
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return (nats * _factors(nats.detach(), weights, dft)).sum()


def _factors(nats: torch.Tensor, weights: torch.Tensor | None, dft: bool) -> torch.Tensor:
    """What each place's loss is multiplied with."""
    import torch

    certain = torch.exp(-nats) if dft else torch.ones_like(nats)
    return certain if weights is None else certain * weights


def _summed() -> Any:
    import torch

    class SummedNats(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            weight: torch.Tensor,
            targets: torch.Tensor,
            weights: torch.Tensor | None,
            dft: bool,
        ) -> torch.Tensor:
            wants_hidden, wants_weight = ctx.needs_input_grad[:2]
            plain = weights is None and not dft
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            d_hidden = torch.empty_like(hidden) if wants_hidden else None
            d_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
            head = weight.to(hidden.dtype)
            lean = hidden.dtype == torch.float32
            times = product if lean else torch.nn.functional.linear
            for start in range(0, len(targets), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                logits = times(hidden[part], head).float()
                how = "sum" if plain else "none"
                nats = torch.nn.functional.cross_entropy(logits, targets[part], reduction=how)
                if not plain:
                    factors = _factors(nats, None if weights is None else weights[part], dft)
                    nats = (nats * factors).sum()
                total += nats
                if d_hidden is None and d_weight is None:
                    continue
                slope = logits.softmax(dim=-1)
                slope[torch.arange(len(slope), device=slope.device), targets[part]] -= 1
                if not plain:
                    slope *= factors[:, None]
                slope = slope.to(hidden.dtype)
                if d_hidden is not None:
                    d_hidden[part] = times(slope, head.T)
                if d_weight is not None:
                    d_weight.addmm_(slope.T, hidden[part])
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
                None,
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
