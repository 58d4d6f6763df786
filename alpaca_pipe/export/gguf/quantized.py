"""Numbers as a GGUF stores them: the same bytes as the package gguf makes of them, by those of torch's steps that have
vector instructions (floor and amax have, trunc and aminmax by rows have not). A piece is meant to fit the processor's cache: there a
step costs a tenth of what it costs in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BLOCK = 32  # numbers that share a scale in Q8_0 and Q4_0
LARGEST_F16 = 65504.0
_INFINITE = 65520.0  # from here on the nearest number in F16 is infinite


def f32(numbers: torch.Tensor) -> torch.Tensor:
    return numbers


def f16(numbers: torch.Tensor) -> torch.Tensor:
    """OverflowError for a number that would become infinite."""
    import torch

    low, high = torch.aminmax(numbers)
    if max(-float(low), float(high)) >= _INFINITE:
        raise OverflowError
    return numbers.to(torch.float16)


def q8_0(numbers: torch.Tensor) -> torch.Tensor:
    """A block's scale is its largest number / 127, the rest is rounded half away from 0. Bytes, blocks x 34."""
    import torch

    blocks = numbers.view(-1, BLOCK)
    scale = blocks.abs().amax(1, keepdim=True).div_(127)
    quotients = blocks * _inverse(scale)
    sizes = quotients.abs()
    whole = sizes.floor()
    whole += sizes.sub_(whole).mul_(2).floor_()
    whole *= quotients.sign_()
    return torch.cat([scale.half().view(torch.uint8), whole.to(torch.int8).view(torch.uint8)], 1)


def q4_0(numbers: torch.Tensor) -> torch.Tensor:
    """A block's scale is its number farthest from 0, the first of several, / -8. Bytes, blocks x 18: two numbers in each."""
    import torch

    blocks = numbers.view(-1, BLOCK)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    farthest = torch.where(-low > high, low, high)
    if len(even := (-low == high).squeeze(1).nonzero().squeeze(1)):  # which came first?
        some = blocks[even]
        farthest[even] = some.gather(1, some.abs().argmax(1, keepdim=True))
    scale = farthest.div_(-8)
    found = (blocks * _inverse(scale)).add_(8.5).clamp_(max=15.5).to(torch.int8)
    packed = found[:, : BLOCK // 2] | (found[:, BLOCK // 2 :] << 4)
    return torch.cat([scale.half().view(torch.uint8), packed.view(torch.uint8)], 1)


def _inverse(scale: torch.Tensor) -> torch.Tensor:
    return scale.reciprocal().masked_fill_(scale == 0, 0)


KINDS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F32": f32,
    "F16": f16,
    "Q8_0": q8_0,
    "Q4_0": q4_0,
}
