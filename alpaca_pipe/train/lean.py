"""The same arithmetic with fewer passes over memory: an adapter beside its frozen layer, and the gated product.

peft adds an adapter's part in three passes and keeps what it does not need; a gated feed-forward keeps four tensors of
its width where two tell all. A module is replaced only where ours gives the values of its own code on random input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_NEAR = 1e-4  # of values of size about 1, in fp32


def make_lean(model: torch.nn.Module) -> int:
    """Replaces the forward of adapters and of gated feed-forwards inside `model`; answers how many were replaced.

    Only in fp32 outside autocast, which is how a CPU trains; elsewhere the model stays as it is.
    """
    import torch

    if any(weight.dtype != torch.float32 or weight.is_cuda for weight in model.parameters()):
        return 0
    replaced = 0
    for module in list(model.modules()):
        if _is_plain_adapter(module):
            replaced += _replace(module, _adapter_forward(module), module.in_features)
    for module in list(model.modules()):
        if all(hasattr(module, name) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")):
            width = getattr(module.gate_proj, "in_features", 0)
            replaced += _replace(module, _gated_forward(module), width)
    return replaced


def _replace(module: Any, forward: Any, width: int) -> int:
    """Takes `forward` where it answers as the module itself does."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        sample = torch.randn(3, width)
        wanted, found = module.forward(sample), forward(sample)
    if found.shape != wanted.shape or not torch.allclose(found, wanted, rtol=_NEAR, atol=_NEAR):
        return 0
    module.forward = forward
    return 1


def _is_plain_adapter(module: Any) -> bool:
    """A LoRA of peft on a linear layer: one adapter, neither dropout nor DoRA nor another base than nn.Linear."""
    import torch

    names = list(getattr(module, "lora_A", ()))
    return (
        len(names) == 1
        and type(getattr(module, "base_layer", None)) is torch.nn.Linear
        and isinstance(module.lora_dropout[names[0]], torch.nn.Identity)
        and not getattr(module, "lora_variant", None)
        and not module.lora_bias.get(names[0], False)
    )


def _adapter_forward(module: Any) -> Any:
    name = next(iter(module.lora_A))
    function = _adapted()

    def forward(x: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
        base, down, up = module.base_layer, module.lora_A[name], module.lora_B[name]
        found: torch.Tensor = function.apply(
            x, base.weight, base.bias, down.weight, up.weight, module.scaling[name]
        )
        return found

    return forward


def _gated_forward(module: Any) -> Any:
    function = _gated()

    def forward(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = module.down_proj(
            function.apply(module.gate_proj(x), module.up_proj(x))
        )
        return found

    return forward


def _adapted() -> Any:
    import torch

    class Adapted(torch.autograd.Function):
        """x W' + b + scale (x A') B'; W and b are frozen."""

        @staticmethod
        def forward(
            ctx: Any,
            x: torch.Tensor,
            weight: torch.Tensor,
            bias: torch.Tensor | None,
            down: torch.Tensor,
            up: torch.Tensor,
            scale: float,
        ) -> torch.Tensor:
            flat = x.reshape(-1, x.shape[-1])
            low = (flat @ down.T).mul_(scale)
            out = torch.nn.functional.linear(flat, weight, bias).addmm_(low, up.T)
            ctx.save_for_backward(x, weight, down, up, low)
            ctx.scale = scale
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            x, weight, down, up, low = ctx.saved_tensors
            flat, slope = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
            through = (slope @ up).mul_(ctx.scale)
            d_x = None
            if ctx.needs_input_grad[0]:
                d_x = (slope @ weight).addmm_(through, down).view(x.shape)
            return d_x, None, None, through.T @ flat, slope.T @ low, None

    return Adapted


def _gated() -> Any:
    import torch

    class Gated(torch.autograd.Function):
        """silu(gate) up, of which only gate and up are kept."""

        @staticmethod
        def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(gate, up)
            return torch.nn.functional.silu(gate).mul_(up)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            gate, up = ctx.saved_tensors
            d_up = torch.nn.functional.silu(gate).mul_(grad)
            d_gate = torch.ops.aten.silu_backward(grad * up, gate)
            return d_gate, d_up

    return Gated
