"""Products of matrices by oneDNN, which makes AVX-512 code for whatever CPU it finds.

torch gives fp32 products to MKL, which on other makers' CPUs takes a road less than half as fast. The sums are fp32 in both.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_WIDE = 8  # rows and columns of what oneDNN is given


def product(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    onto: torch.Tensor | None = None,
) -> torch.Tensor:
    """x weight' + bias (+ onto). x (rows, in), weight (out, in), onto (rows, out); any strides, fp32. Outside autograd."""
    import torch

    fast = _one_dnn()
    if fast is None or not (_suits(x) and _suits(weight)):
        found = torch.nn.functional.linear(x, weight, bias)
        return found if onto is None else found.add_(onto)
    if onto is None:
        made: torch.Tensor = fast(x, weight, bias, "none", [], "")
        return made
    summed: torch.Tensor = fast.binary(x, onto, weight, bias, "add")
    return summed


def _suits(matrix: torch.Tensor) -> bool:
    """Thinner ones are MKL's, and such as are a part of another: oneDNN takes a road hundreds of times slower for some."""
    import torch

    wide = min(matrix.shape) >= _WIDE and matrix.dtype == torch.float32 and not matrix.is_cuda
    return wide and (matrix.is_contiguous() or matrix.T.is_contiguous())


@cache
def _one_dnn() -> Any:
    """What torch's own compiler calls for a linear layer; None in a torch without it."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return None
    packet = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return packet if packet is not None and "binary" in packet.overloads() else None
