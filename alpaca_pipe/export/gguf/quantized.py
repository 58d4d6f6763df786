"""Numbers as a GGUF stores them: the same bytes as the package gguf makes of them, by those of torch's steps that have
vector instructions (amax and the cut to int8 have, trunc and aminmax by rows have not). A piece is meant to fit the processor's cache: there a
step costs a tenth of what it costs in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BLOCK = 32  # numbers that share a scale in Q8_0 and Q4_0
LARGEST_F16 = 65504.0
_BELOW_HALF = (
    0.5 - 2**-25
)  # the float32 before 0.5: added and cut off, it rounds 0.5 away from 0 and nothing else
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
    """A block's scale is its largest number / 127, the rest is rounded half away from 0. 16-bit words, blocks x 17."""
    import torch

    blocks = numbers.view(-1, BLOCK)
    scale = blocks.abs().amax(1, keepdim=True).div_(127)
    quotients = blocks * _inverse(scale)
    whole = quotients.add_(quotients.sign(), alpha=_BELOW_HALF).to(torch.int8)
    return torch.cat([scale.half().view(torch.int16), whole.view(torch.int16)], 1)


def q4_0(numbers: torch.Tensor) -> torch.Tensor:
    """A block's scale is its number farthest from 0, the first of several, / -8. 16-bit words, blocks x 9: four numbers in each."""
    import torch

    blocks = numbers.view(-1, BLOCK)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    farthest = torch.where(-low > high, low, high)
    if len(even := (-low == high).squeeze(1).nonzero().squeeze(1)):  # which came first?
        some = blocks[even]
        farthest[even] = some.gather(1, some.abs().argmax(1, keepdim=True))
    scale = farthest.div_(-8)
    found = (blocks * _inverse(scale)).add_(8.5).to(torch.int8).clamp_(max=15)
    eights = found.view(torch.int64)  # numbers 0 to 7, 8 to 15, 16 to 23, 24 to 31
    packed = torch.stack(
        [eights[:, 0] | (eights[:, 2] << 4), eights[:, 1] | (eights[:, 3] << 4)], 1
    )
    return torch.cat([scale.half().view(torch.int16), packed.view(torch.int16)], 1)


def _inverse(scale: torch.Tensor) -> torch.Tensor:
    return scale.reciprocal().masked_fill_(scale == 0, 0)


KINDS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F32": f32,
    "F16": f16,
    "Q8_0": q8_0,
    "Q4_0": q4_0,
}
