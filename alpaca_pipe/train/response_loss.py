"""The loss of what is learned: head and cross-entropy a part at a time, so that no logits of a whole batch are kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.distill_loss import Taught, mixed, nats_and_slope
from alpaca_pipe.train.lean.products import product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

_AT_ONCE = {"cpu": 256, "cuda": 1024}  # places; 256 x 128,256 logits in fp32 are 131 MB


def summed_nats(
    hidden: torch.Tensor,
    head: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None = None,
    dft: bool = False,
    taught: Taught | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """The sum of -w ln p(target) over places, with its gradient.

    hidden (places, size), before the head; head (vocabulary, size), its weights; targets (places,) token ids; weights
    (places,), None: all 1. dft: each place also times its own p(target), which is held fixed (arXiv:2508.05629).
    taught: the teacher's likeliest tokens of each place (distill_loss.py). The gradient is made on the way forward: the
    logits are never there all at once, nor computed twice.
    scale: the sum times it is the whole loss, on which backward() is called and nothing else. Then the gradient of a head in
    fp32 is added to `head.grad` at once, and no second one as large as the head waits for the backward pass to end.
    """
    import torch

    where = hidden.device.type
    if torch.is_autocast_enabled(where):  # as the model's own head would have it
        hidden = hidden.to(torch.get_autocast_dtype(where))
    found: torch.Tensor = _summed().apply(hidden, head, targets, weights, dft, taught, scale)
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


def _nats_and_slope(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """-ln p(target) of each place, and its gradient by the logits, which is written over them."""
    logits -= logits.amax(dim=-1, keepdim=True)
    at = targets[:, None]
    told = logits.gather(1, at)
    sums = logits.exp_().sum(dim=-1, keepdim=True)
    logits /= sums
    logits.scatter_add_(1, at, logits.new_full(at.shape, -1.0))
    return (sums.log() - told)[:, 0], logits


class _HeadGradient:
    """Of the head's weights, a part at a time. at_once: added to `weight.grad` where that lies, and nothing is handed on."""

    def __init__(self, weight: torch.Tensor, at_once: bool) -> None:
        self._weight, self.at_once = weight, at_once
        self._sum: torch.Tensor | None = None

    def add(self, slope: torch.Tensor, hidden: torch.Tensor) -> None:
        """slope (places, vocabulary), hidden (places, size)."""
        there = self._weight.grad if self.at_once else self._sum
        if there is None:
            self._put((slope.T @ hidden).float())
        elif there.dtype == slope.dtype:
            there.addmm_(slope.T, hidden)
        else:
            there += slope.T @ hidden

    def _put(self, first: torch.Tensor) -> None:
        if self.at_once:
            self._weight.grad = first
        else:
            self._sum = first

    def handed_on(self) -> torch.Tensor | None:
        import torch

        if self.at_once or self._sum is not None:
            return self._sum
        return torch.zeros_like(self._weight, dtype=torch.float32)


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
            taught: Taught | None,
            scale: float | None,
        ) -> torch.Tensor:
            wants_hidden, wants_weight = ctx.needs_input_grad[:2]
            plain = weight.is_leaf and weight.dtype == hidden.dtype == torch.float32
            of_head = _HeadGradient(weight, scale is not None and plain) if wants_weight else None
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            d_hidden = torch.empty_like(hidden) if wants_hidden else None
            head = weight.to(hidden.dtype)
            times = product if hidden.dtype == torch.float32 else torch.nn.functional.linear
            at_once = _AT_ONCE.get(hidden.device.type, 256)
            for start in range(0, len(targets), at_once):
                part = slice(start, start + at_once)
                logits = times(hidden[part], head).float()
                soft = None if taught is None else nats_and_slope(logits, taught[part])
                nats, slope = _nats_and_slope(logits, targets[part])
                if taught is not None and soft is not None:
                    nats, slope = mixed((nats, slope), soft, taught.alpha)
                if weights is not None or dft:
                    factors = _factors(nats, None if weights is None else weights[part], dft)
                    nats = nats * factors
                    slope *= factors[:, None]
                total += nats.sum()
                if scale is not None:
                    slope *= scale
                slope = slope.to(hidden.dtype)
                if d_hidden is not None:
                    d_hidden[part] = times(slope, head.T)
                if of_head is not None:
                    of_head.add(slope, hidden[part])
            ctx.is_whole = of_head is not None and of_head.at_once
            d_weight = of_head.handed_on() if of_head is not None else None
            ctx.slopes, ctx.dtype = (d_hidden, d_weight), weight.dtype
            return total if scale is None else total * scale

        @staticmethod
        def backward(ctx: Any, scale: torch.Tensor) -> Any:
            """In place and handed on: a head's gradient is as large as the head."""
            (d_hidden, d_weight), ctx.slopes = ctx.slopes, None
            if ctx.is_whole and not scale.is_cuda and scale != 1:  # a GPU would wait to be asked
                raise RuntimeError(
                    "the head's gradient was added already, for a loss that is whole"
                )
            if d_hidden is not None:
                d_hidden.mul_(scale.to(d_hidden.dtype))
            if d_weight is not None:
                d_weight = d_weight.mul_(scale).to(ctx.dtype)
            return d_hidden, d_weight, None, None, None, None, None

    return SummedNats


@contextmanager
def instead_of_head(
    head: torch.nn.Module, loss: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Inside, the model's output head answers the loss of the hidden states that it is given, where the logits would stand.

    So its weights are read in the middle of the model's forward pass, which is when they are whole where processes hold a part
    each. The loss comes in the form of logits, (1, 1, 1), for models that cut theirs to a size.
    """
    forward = head.forward
    head.forward = lambda hidden, *args, **more: loss(hidden).view(1, 1, 1)  # type: ignore[method-assign]
    try:
        yield
    finally:
        head.forward = forward  # type: ignore[method-assign]
