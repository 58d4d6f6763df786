"""Weights, gradients and optimizer split over the processes: FSDP2 under accelerate; DeepSpeed does it by its own file.

Each process holds a part of every weight. A layer is whole while it is computed, and its gradient is summed and cut again at
once. Checkpoints are written in parts, too; only what was trained is put together again, at the end, by the first process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loading import device

if TYPE_CHECKING:
    import torch
    from trl import SFTTrainer


def fsdp_arguments() -> dict[str, Any]:
    """Of SFTConfig. Parts are saved as parts: a whole state would be gathered by one process, the optimizer's with it."""
    return {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "SHARDED_STATE_DICT"}}


_OPENED = 0.7  # of the free memory: the probe's activations lie beside the weights


def shard(trainer: SFTTrainer) -> None:
    """Before trainer.train. Products in bf16 on a GPU, sums of gradients and the loss in fp32: accelerate's own policy would
    round both. On CPUs accelerate passes over its FSDP plugin without a word, and would train by DDP."""
    import torch
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
    from torch.distributed.fsdp import MixedPrecisionPolicy

    state: Any = AcceleratorState()
    if device().type == "cpu":
        state.distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
        trainer.is_fsdp_enabled = True
    if trainer.args.bf16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        state.fsdp_plugin.mixed_precision_policy = policy


def too_large(model: torch.nn.Module) -> bool:
    """Whether the model is opened and probed on the CPU, since one GPU alone would not hold it."""
    import torch

    if device().type == "cpu":
        return False
    needed = sum(one.numel() * one.element_size() for one in model.parameters())
    free: int = torch.cuda.mem_get_info()[0]
    return bool(needed > _OPENED * free)


def is_part(weight: torch.Tensor) -> bool:
    """Whether this process holds a part of it only: FSDP2's, or that of DeepSpeed's stage 3."""
    return hasattr(weight, "full_tensor") or hasattr(weight, "ds_id")


def whole(weight: torch.Tensor) -> torch.Tensor:
    """All of it. Where it is held in parts every process must ask."""
    if hasattr(weight, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([weight]):
            return weight.detach().clone()
    found: torch.Tensor = weight.full_tensor() if is_part(weight) else weight  # type: ignore[attr-defined]
    return found.detach()


def rest_in_parts(model: torch.nn.Module) -> None:
    """Layers that a forward pass alone left whole are cut again."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def fill(weight: torch.Tensor, value: torch.Tensor) -> None:
    """value, whole, takes the weight's place: of a weight in parts, this process's part of it."""
    if is_part(weight):
        from torch.distributed.tensor import distribute_tensor

        mesh, placements = weight.device_mesh, weight.placements  # type: ignore[attr-defined]
        value = distribute_tensor(value.to(weight.device), mesh, placements, src_data_rank=None)
    weight.copy_(value)


def put_together(model: torch.nn.Module, first: bool) -> None:
    """After a tune: what was trained is whole again, on the CPU of the first process; the others take part and keep nothing of
    it. One weight after the other, so that no GPU holds more than one of them."""
    import torch

    rest_in_parts(model)
    done: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if not is_part(weight) or not weight.requires_grad:
                continue
            if weight not in done:
                one = whole(weight)
                kept = one.cpu() if first else torch.empty(0)
                done[weight] = torch.nn.Parameter(kept)
            setattr(module, name, done[weight])
