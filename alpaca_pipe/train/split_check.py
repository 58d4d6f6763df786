"""What cannot be beside weights that lie in parts: what was not seen to give the numbers of one process is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpaca_pipe.train.config import TrainConfig

_SPLITS = ("adamw_torch_fused", "adamw_torch", "sgd")  # optimizers


def not_beside(config: TrainConfig) -> tuple[str, str] | None:
    """The key of train: that cannot be there beside fsdp or deepspeed, and why and what to do."""
    if config.fsdp and config.deepspeed:
        return "deepspeed", "fsdp splits the weights already - take one of the two out"
    name = "fsdp" if config.fsdp else "deepspeed" if config.deepspeed else None
    if name is None:
        return None
    wrong = {
        "processes": config.processes == 1
        and "one process holds all of it - set processes: 2 or more",
        "method": config.method == "qlora"
        and "linear layers in 4 bits cannot be split - set method: lora or full",
        "optim": config.optim not in _SPLITS
        and f"it cannot be split - set {', '.join(_SPLITS[:-1])} or {_SPLITS[-1]}",
        "fp8": config.fp8 and f"it is not tried beside {name} - leave one of them out",
        "torch_compile": config.torch_compile
        and f"it is not tried beside {name} - leave one of them out",
        "lora": config.method == "lora"
        and config.lora.init_lora_weights == "pissa"
        and f"PiSSA changes the base, which {name} splits - remove init_lora_weights",
        "load_best_model_at_end": name == "deepspeed"
        and config.keeps_best
        and "DeepSpeed keeps weights in forms of its own - set it to false, or use fsdp",
        "neftune_noise_alpha": name == "deepspeed"
        and config.neftune_noise_alpha is not None
        and "it is not tried beside deepspeed - leave one of them out",
    }
    return next(((key, f"with {name}: {said}") for key, said in wrong.items() if said), None)
