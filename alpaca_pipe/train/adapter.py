"""The adapter of a tune: put onto the base, and saved so that it goes onto the base as it was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_BEFORE = "adapter_before"  # in a tune's scratch folder: what PiSSA began with


def with_adapter(model: PreTrainedModel, lora: Mapping[str, Any], scratch: Path) -> PeftModel:
    """lora: keyword arguments of peft's LoraConfig. The adapter's own weights are fp32, whatever the base's are.

    UserError for layers that the base does not have.
    """
    from peft import LoraConfig, get_peft_model

    check_targets(model, lora["target_modules"])
    _check_saved_modules(model, lora.get("modules_to_save", ()))
    adapted = get_peft_model(model, LoraConfig(**lora, task_type="CAUSAL_LM"))
    if _changes_the_base(lora):
        adapter = adapted.peft_config["default"]
        how, adapter.init_lora_weights = adapter.init_lora_weights, True
        adapted.save_pretrained(scratch / _BEFORE, save_embedding_layers=False)
        adapter.init_lora_weights = how
    return adapted


def save_adapter(model: PeftModel, published: str, scratch: Path, folder: Path) -> None:
    """Without a path of this machine in it. published: the base's name for others.

    PiSSA takes its beginning out of the base's weights, so what was trained is saved as the difference to that beginning:
    a plain adapter of twice the rank, for the base as it is.
    """
    adapter = model.peft_config["default"]
    adapter.base_model_name_or_path, adapter.revision = published, None
    before = scratch / _BEFORE
    more = {"path_initial_model_for_weight_conversion": str(before)} if before.is_dir() else {}
    model.save_pretrained(folder, save_embedding_layers=False, **more)
    # peft's empty card; export writes one with figures
    (folder / "README.md").unlink(missing_ok=True)


def _changes_the_base(lora: Mapping[str, Any]) -> bool:
    return str(lora.get("init_lora_weights", "")).startswith("pissa")


def check_targets(model: PreTrainedModel, targets: str | Sequence[str]) -> None:
    """peft skips a name that no layer has as long as another name fits."""
    if isinstance(targets, str):
        return
    layers = [
        name
        for name, module in model.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2
    ]
    _check_names("target_modules", targets, layers, "linear layer")


def _check_saved_modules(model: PreTrainedModel, names: Sequence[str]) -> None:
    """Of a base whose embedding is its output layer too, a copy of one of them would be trained apart from the other."""
    _check_names("modules_to_save", names, [name for name, _ in model.named_modules()], "module")
    tied = model.config.get_text_config().tie_word_embeddings
    ends = [name for name in names if name.rpartition(".")[2] in ("lm_head", "embed_tokens")]
    if tied and ends:
        raise UserError(
            f"train.lora.modules_to_save: {ends[0]} of this base is embedding and output layer at once, and a copy of one would leave the other behind",
            "remove it, or set train.method: full",
        )


def _check_names(key: str, wanted: Sequence[str], there: Sequence[str], what: str) -> None:
    for one in wanted:
        if not any(name == one or name.endswith(f".{one}") for name in there):
            raise UserError(
                f"train.lora.{key}: the base has no {what} '{one}'",
                did_you_mean(one, {name.rpartition(".")[2] for name in there}),
            )
