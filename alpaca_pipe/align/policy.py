"""The model that is aligned: where it begins, what of it is trained, and how it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loading import (
    is_adapter,
    load_base_of,
    load_model,
    put_adapter,
    quiet_transformers,
)
from alpaca_pipe.train.adapter import save_adapter, with_adapter
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

REFERENCE = "ref"  # the adapter in which TRL keeps the beginning of the one that is trained


@dataclass(frozen=True)
class Beginning:
    """checkpoint: the base; tuned: what `train` left, an adapter or a whole model; None: the base itself. published: the
    base's name for others."""

    checkpoint: Checkpoint
    tuned: Path | None
    dtype: str
    published: str

    @property
    def has_adapter(self) -> bool:
        return self.tuned is not None and is_adapter(self.tuned)

    @property
    def source(self) -> Checkpoint:
        """Of whole weights: what train left, else the base."""
        whole = self.tuned is not None and not self.has_adapter
        return Checkpoint(str(self.tuned)) if whole else self.checkpoint


def load_policy(
    begin: Beginning, use_peft: bool, lora: Mapping[str, Any] | None, scratch: Path
) -> PreTrainedModel:
    """On the CPU. With use_peft the adapter of train is trained on, and where there is none a new one; else all weights."""
    if not begin.has_adapter:
        model = load_model(begin.source, begin.dtype)
        return with_adapter(model, lora or {}, scratch) if use_peft else model  # type: ignore[return-value]
    assert begin.tuned is not None
    base = load_base_of(begin.checkpoint, begin.tuned, begin.dtype)
    adapted = put_adapter(base, begin.tuned)
    if not use_peft:
        whole: PreTrainedModel = adapted.merge_and_unload()
        return whole.requires_grad_(True)
    for name, weight in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            weight.requires_grad_(True)
            weight.data = weight.data.float()
    adapted.peft_config["default"].inference_mode = False
    return adapted  # type: ignore[return-value]


def drop_reference(model: Any) -> None:
    """TRL's second adapter goes: the beginning is known by its stored log-probabilities."""
    if REFERENCE in getattr(model, "peft_config", {}):
        model.delete_adapter(REFERENCE)


def save_policy(model: Any, begin: Beginning, scratch: Path, folder: Path) -> None:
    """As train saves: an adapter for the base as it is published, or all weights. A new adapter on a whole tuned model is
    merged into it, for nobody else has that model."""
    drop_reference(model)
    if not hasattr(model, "peft_config"):
        model.save_pretrained(folder)
    elif begin.tuned is not None and not begin.has_adapter:
        model.merge_and_unload().save_pretrained(folder)
    else:
        save_adapter(model, begin.published, scratch, folder)


def set_quiet() -> None:
    """No bars and notes of the libraries between our own lines."""
    import warnings

    import datasets

    quiet_transformers()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|peft|accelerate|datasets)\b")
