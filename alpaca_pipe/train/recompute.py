"""Whether activations are kept or computed again: by the memory of the machine that trains."""

from __future__ import annotations

from collections.abc import Sequence

from alpaca_pipe.models.architecture import shape_of
from alpaca_pipe.models.fit import in_parts, memory
from alpaca_pipe.models.loading import device
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.weights.base import BaseTable

_USED = 0.9  # of what is free: estimates are off by a tenth


def recomputes(config: TrainConfig, base: BaseTable, rows: Sequence[Encoded]) -> bool:
    """As the recipe says; `auto`: only where the largest micro-batch would not fit otherwise, on a GPU."""
    if config.gradient_checkpointing != "auto":
        return config.gradient_checkpointing
    shape = shape_of(base)
    if shape is None or device().type != "cuda":
        return False
    import torch

    at_once = sorted((len(row.ids) for row in rows), reverse=True)
    needed = memory(
        shape,
        config.method,
        sum(at_once[: config.per_device_train_batch_size]),
        dtype=base.dtype,
        rank=config.lora.r,
        targets=config.lora.target_modules,
    )
    if config.split:
        needed = in_parts(needed, shape, config.method, config.split, config.processes)
    free: int = torch.cuda.mem_get_info()[0]
    return needed.total > _USED * free
