"""How fast a GPU trains, loads and saves, as ranges: what a datasheet promises and the share of it that is reached."""

from __future__ import annotations

from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu

# Share of the datasheet's dense bf16 rate that training reaches: (badly, in the middle, well). Published for 8B models:
# 10,471 tokens/s full on one H200 = 0.48, 12,473 LoRA on one H100 = 0.38. Ours runs without compiled kernels and was not
# measured on a GPU yet (2026-11), so its middle lies below both.
SHARE = (0.18, 0.32, 0.50)
PUBLISHED = "0.38 to 0.48 of the datasheet's rate published for 8B models; this trainer was not measured on a GPU yet"
WITHOUT_BF16 = frozenset({"T4", "V100", "V100-32"})  # they would train in fp32, many times slower
_LAUNCHES = (
    2.5e-3,
    1.2e-3,
    0.6e-3,
)  # seconds for the kernels of a layer, forward and backward, however few the tokens

_READ = (0.3e9, 1e9, 3e9)  # bytes a second from and to a disk
_FETCHED = (25e6, 100e6, 400e6)  # from the hub
_STARTED = (60.0, 25.0, 12.0)  # seconds for imports and the first step


def reached(gpu: Gpu, flops: float, layers: float, spread: float = 1.0) -> Range:
    """Seconds for so many operations in so many passes of a layer, forward and backward; on one GPU."""
    slow, middle, fast = (
        max(flops / (gpu.bf16_tflops * 1e12 * share), layers * launch)
        for share, launch in zip(SHARE, _LAUNCHES, strict=True)
    )
    return Range(fast / spread, middle, slow * spread)


def loading(parameters: float, times: int, fetched: bool, saved: float = 0.0) -> Range:
    """Seconds to fetch a model once, to load it (bf16) `times` times, and to save so many bytes each time."""

    def seconds(place: int) -> float:
        size = parameters * 2
        return times * (_STARTED[place] + (size + saved) / _READ[place]) + (
            0 if fetched else size / _FETCHED[place]
        )

    return Range(seconds(2), seconds(1), seconds(0))
