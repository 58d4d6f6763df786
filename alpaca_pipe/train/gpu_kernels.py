"""Faster arithmetic that a recipe may ask a GPU for: Liger's kernels, compiled parts, TF32, fp8. All off unless it does.

Liger's must give the base's own loss and gradient on a few real rows. TF32 and fp8 round more coarsely, and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.train.hyperparameters import Kernels

if TYPE_CHECKING:
    import torch

# The least compute capability whose tensor cores can do it.
_LEAST = {"tf32": (8, 0), "fp8": (8, 9)}
_FP8_STEP = 16  # sizes of matrices that fp8 products take
_COMPILED = (
    "mlp",
    "input_layernorm",
    "post_attention_layernorm",
)  # attention's shapes always change


def check_gpu(kernels: Kernels) -> None:
    """UserError where the recipe asks for what this machine's GPU cannot do, or there is none."""
    import torch

    for name in kernels.named():
        if not torch.cuda.is_available():
            raise UserError(
                f"train.{name}: it is for a CUDA GPU, and this machine has none",
                f"leave train.{name} out here; a CPU has its own fast arithmetic, which is always on",
            )
        least = _LEAST.get(name, (0, 0))
        if torch.cuda.get_device_capability() < least:
            raise UserError(
                f"train.{name}: {torch.cuda.get_device_name()} has no such arithmetic",
                f"leave train.{name} out, or use a GPU of compute capability {least[0]}.{least[1]} or later",
            )


def put_liger_in(model: Any, agrees: Callable[[Callable[[], None]], bool]) -> None:
    """RMSNorm, rotary positions and SwiGLU by Liger's kernels; the loss stays response_loss.py's, of learned places alone.

    agrees: does what it is given, and answers whether loss and gradient stayed. UserError for a base that Liger does not
    know (it would leave it as it is without a word) and where they did not stay.
    """
    from liger_kernel.transformers import _apply_liger_kernel_to_instance
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    kind = model.config.model_type
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise UserError(
            f"train.use_liger_kernel: Liger has no kernels for a base of type {kind}",
            "leave it out",
        )
    options = {"cross_entropy": False, "fused_linear_cross_entropy": False}
    if not agrees(lambda: _apply_liger_kernel_to_instance(model=model, **options)):
        raise UserError(
            "train.use_liger_kernel: with it the loss or its gradient is another one on this base",
            "leave it out",
        )


def compile_parts(model: torch.nn.Module) -> int:
    """Norms and feed-forwards of each layer by torch.compile, for any number of tokens; answers how many parts."""
    parts = [
        getattr(layer, name)
        for parent in model.modules()
        if hasattr(parent, "rotary_emb") and hasattr(parent, "layers")
        for layer in parent.layers
        for name in _COMPILED
        if hasattr(layer, name)
    ]
    for part in parts:
        part.compile(dynamic=True)
    return len(parts)


def products_in_fp8(model: torch.nn.Module, emulate: bool = False) -> None:
    """Linear layers but head and adapters multiply in fp8, each row with a scale of its own; weights stay as they are.

    emulate: the same rounding by slower means, on any machine.
    """
    from dataclasses import replace

    from torchao.float8 import Float8LinearConfig, convert_to_float8_training

    config = Float8LinearConfig.from_recipe_name("rowwise")
    convert_to_float8_training(
        model, module_filter_fn=takes_fp8, config=replace(config, emulate=emulate)
    )


def takes_fp8(module: Any, name: str) -> bool:
    """A layer of the base whose sizes fp8 products take."""
    size = getattr(getattr(module, "weight", None), "shape", ())
    inside = ".layers." in f".{name}" and "lora_" not in name
    return inside and len(size) == 2 and all(one % _FP8_STEP == 0 for one in size)
