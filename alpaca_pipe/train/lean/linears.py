"""Linear layers that read the same thing, as one step: the norm before them, the layers, the adapters beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.lean.products import product

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Norm:
    """Root mean square: x / sqrt(mean(x^2) + epsilon) times weight."""

    weight: torch.Tensor
    epsilon: float


@dataclass(frozen=True)
class Linear:
    """x W' + b + scale (x A') B'. down is A (rank, in), up is B (out, rank); both None without an adapter."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    scale: float = 1.0


def is_plain_linear(module: Any) -> bool:
    import torch

    return type(module) is torch.nn.Linear


def is_plain_adapter(module: Any) -> bool:
    """LoRA of peft on a linear layer, one adapter or several of which one is active: neither dropout nor DoRA nor another
    base than nn.Linear."""
    import torch

    names = list(getattr(module, "lora_A", ()))
    return (
        bool(names)
        and is_plain_linear(getattr(module, "base_layer", None))
        and all(isinstance(module.lora_dropout[name], torch.nn.Identity) for name in names)
        and not getattr(module, "lora_variant", None)
        and not any(module.lora_bias.get(name, False) for name in names)
    )


def linear_of(module: Any) -> Linear:
    """The weights of a plain linear layer or a plain adapter, as they are now. ValueError where several are active."""
    if not hasattr(module, "base_layer"):
        return Linear(module.weight, module.bias)
    base = module.base_layer
    if module.disable_adapters or module.merged:
        return Linear(base.weight, base.bias)
    (name,) = module.active_adapters
    if name not in module.lora_A:
        return Linear(base.weight, base.bias)
    down, up = module.lora_A[name].weight, module.lora_B[name].weight
    return Linear(base.weight, base.bias, down, up, module.scaling[name])


def linears(
    x: torch.Tensor,
    layers: tuple[Linear, ...],
    norm: Norm | None = None,
    onto: torch.Tensor | None = None,
) -> tuple[torch.Tensor, ...]:
    """What each of `layers` makes of norm(x). onto: added to the first one's, as it leaves.

    Kept for the backward pass: x, one number a token for the norm, `rank` numbers a token and adapter.
    """
    weights = [part for one in layers for part in (one.weight, one.bias, one.down, one.up)]
    gauge, epsilon = (norm.weight, norm.epsilon) if norm else (None, 0.0)
    scales = tuple(one.scale for one in layers)
    found: tuple[torch.Tensor, ...] = _linears().apply(x, onto, gauge, epsilon, scales, *weights)
    return found


def normed(flat: torch.Tensor, gauge: torch.Tensor, over: torch.Tensor) -> torch.Tensor:
    """over (rows, 1): 1 / sqrt(mean square)."""
    return (flat * over).mul_(gauge)


def over_size(flat: torch.Tensor, epsilon: float) -> torch.Tensor:
    import torch

    size = torch.linalg.vector_norm(flat, dim=-1, keepdim=True)
    return size.square_().div_(flat.shape[-1]).add_(epsilon).rsqrt_()


def through_norm(
    slope: torch.Tensor, flat: torch.Tensor, gauge: torch.Tensor, over: torch.Tensor
) -> torch.Tensor:
    """The gradient at the norm's input from `slope`, that at its output, which is written over."""
    slope.mul_(gauge)
    along = (slope * flat).sum(-1, keepdim=True).mul_(over.pow(3)).div_(-flat.shape[-1])
    return slope.mul_(over).addcmul_(flat, along)


@dataclass(frozen=True)
class Slopes:
    """Gradients of an adapted layer's input and weights; None where none is asked for."""

    x: torch.Tensor | None
    weights: list[torch.Tensor | None]


def backward(
    x: torch.Tensor,
    grads: tuple[torch.Tensor, ...],
    parts: tuple[torch.Tensor | None, ...],
    scales: tuple[float, ...],
    low: torch.Tensor | None,
    wanted: tuple[bool, ...],
    wants_x: bool,
) -> Slopes:
    """Of layers that read x (rows, in). parts, wanted: weight, bias, down, up of each; low: scale (x A') of all adapters."""
    import torch

    d_x: torch.Tensor | None = None
    weights: list[torch.Tensor | None] = [None] * len(parts)
    throughs, downs, ups, start = [], [], [], 0
    for place, (grad, scale) in enumerate(zip(grads, scales, strict=True)):
        at = 4 * place
        weight, _, down, up = parts[at : at + 4]
        assert weight is not None
        if wants_x:
            d_x = product(grad, weight.T, onto=d_x)
        if wanted[at]:
            weights[at] = product(grad.T, x.T)
        if wanted[at + 1]:
            weights[at + 1] = grad.sum(0)
        if down is None or up is None or low is None:
            continue
        end = start + len(down)
        throughs.append(product(grad, up.T).mul_(scale))
        weights[at + 3] = product(low[:, start:end].T.contiguous(), grad.T).T
        downs.append(down)
        ups.append(at + 2)
        start = end
    if throughs:
        through = throughs[0] if len(throughs) == 1 else torch.cat(throughs, dim=1)
        if wants_x:
            together = downs[0] if len(downs) == 1 else torch.cat(downs)
            assert d_x is not None
            d_x.addmm_(through, together)
        d_down = product(through.T, x.T)
        for at, part in zip(ups, d_down.split([len(down) for down in downs]), strict=True):
            weights[at] = part
    return Slopes(d_x, weights)


def forward(
    x: torch.Tensor,
    parts: tuple[torch.Tensor | None, ...],
    scales: tuple[float, ...],
    onto: torch.Tensor | None,
) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    """What the layers make of x (rows, in), and scale (x A') of all adapters side by side."""
    import torch

    downs = [parts[at] for at in range(2, len(parts), 4) if parts[at] is not None]
    low = None
    if downs:
        together = downs[0] if len(downs) == 1 else torch.cat(downs)  # type: ignore[arg-type]
        low = product(x, together)  # type: ignore[arg-type]
    made, start = [], 0
    for place, scale in enumerate(scales):
        weight, bias, down, up = parts[4 * place : 4 * place + 4]
        assert weight is not None
        out = product(x, weight, bias, onto if place == 0 else None)
        if down is not None and up is not None and low is not None:
            end = start + len(down)
            out.addmm_(low[:, start:end].mul_(scale), up.T)
            start = end
        made.append(out)
    return made, low


@cache
def _linears() -> Any:
    import torch

    class Linears(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            x: torch.Tensor,
            onto: torch.Tensor | None,
            gauge: torch.Tensor | None,
            epsilon: float,
            scales: tuple[float, ...],
            *parts: torch.Tensor | None,
        ) -> tuple[torch.Tensor, ...]:
            flat = x.reshape(-1, x.shape[-1])
            over = None if gauge is None else over_size(flat, epsilon)
            read = flat if gauge is None or over is None else normed(flat, gauge, over)
            added = None if onto is None else onto.reshape(-1, onto.shape[-1])
            made, low = forward(read, parts, scales, added)
            ctx.save_for_backward(x, gauge, over, low, *parts)
            ctx.scales = scales
            return tuple(one.view(*x.shape[:-1], -1) for one in made)

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> Any:
            x, gauge, over, low, *parts = ctx.saved_tensors
            flat = x.reshape(-1, x.shape[-1])
            read = flat if gauge is None else normed(flat, gauge, over)
            wants = ctx.needs_input_grad
            flats = tuple(grad.reshape(-1, grad.shape[-1]) for grad in grads)
            found = backward(
                read, flats, tuple(parts), ctx.scales, low, wants[5:], wants[0] or wants[2]
            )
            d_x, d_gauge = found.x, None
            if d_x is not None and gauge is not None:
                if wants[2]:
                    d_gauge = (d_x * (flat * over)).sum(0)
                d_x = through_norm(d_x, flat, gauge, over)
            d_x = d_x.view(x.shape) if d_x is not None and wants[0] else None
            return d_x, grads[0] if wants[1] else None, d_gauge, None, None, *found.weights

    return Linears
