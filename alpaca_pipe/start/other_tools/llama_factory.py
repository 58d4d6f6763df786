"""LLaMA-Factory's YAML, as of its version 0.9.6 (2026-08): its keys, and what each is in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.start.other_tools.training_keys import (
    DEEPSPEED,
    FOLDERS,
    SHARDED,
    SHARED,
    SPEED,
    half_precision,
    held_out,
    optimizer,
    schedule,
)
from alpaca_pipe.start.other_tools.translation import (
    Rule,
    Said,
    Translated,
    different,
    flag,
    needless,
    to,
)

_NO_LAYERS = "method full trains all layers, lora those that lora.target_modules names"
_STAGES = {
    "pt": "plain text is learned by train.objective: pretrain, from a table `texts:`",
    "dpo": "preferences are learned by a stage of their own, `align:`",
    "kto": "preferences are learned by a stage of their own, `align:`",
    "rm": "a reward model is made by a stage of its own, `align:`",
}
_TEMPLATES = {
    "alpaca": "alpaca",
    "vicuna": "vicuna",
    "chatml": "chatml",
    "llama3": "llama3",
    "qwen": "chatml",
}


def _stage(draft: Translated, value: Any) -> Said:
    return (
        ("needless", "as here")
        if value == "sft"
        else ("different", f"{value}: {_STAGES.get(str(value), 'there is no such training here')}")
    )


def _method(draft: Translated, value: Any) -> Said:
    if value not in ("lora", "full"):
        return "different", f"{value}: methods here are lora, qlora and full; lora is used"
    if draft.recipe.get("train", {}).get("method") == "qlora":
        return "carried", "train.method: qlora"
    return draft.put("train.method", str(value))


def _bits(draft: Translated, value: Any) -> Said:
    if int(value) == 4:
        return draft.put("train.method", "qlora")
    return "different", f"{value} bits: a base is in 4 bits (qlora), bfloat16 or float32"


def _targets(draft: Translated, value: Any) -> Said:
    names = _listed(value)
    return draft.put("train.lora.target_modules", "all-linear" if names == ["all"] else names)


def _dataset(draft: Translated, value: Any) -> Said:
    """A name is looked up in dataset_info.json; only its folder is known here."""
    names = _listed(value)
    folder = str(draft.config.get("dataset_dir") or "data")
    draft.put("curate.from", folder)
    draft.put("curate.split", names[0])
    if len(names) == 1:
        return "carried", f"curate.from: {folder}, whose dataset_info.json names {names[0]}"
    return (
        "different",
        f"one dataset is read, {names[0]}: put the rows of {', '.join(names[1:])} into its file",
    )


def _template(draft: Translated, value: Any) -> Said:
    said = draft.put("train.template", _TEMPLATES.get(str(value), "chat"))
    if value != "alpaca":
        return said
    return (
        "different",
        f"{said[1]}: an input has a heading of its own, '### Input:', as Stanford's has",
    )


def _length(draft: Translated, value: Any) -> Said:
    draft.put("train.max_length", int(value))
    return "carried", f"train.max_length: {value}; a longer row is left out here, and cut there"


def _listed(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return [str(part).strip() for part in parts if str(part).strip()]


def _rank(draft: Translated, value: Any) -> Said:
    if draft.config.get("lora_alpha") is None:
        draft.put("train.lora.alpha", 2 * int(value))  # its default
    return draft.put("train.lora.r", int(value))


def _recompute(draft: Translated, value: Any) -> Said:
    return draft.put("train.gradient_checkpointing", not value)


def _eval_strategy(draft: Translated, value: Any) -> Said:
    return draft.put("train.eval_strategy", str(value))


def _on_prompt(draft: Translated, value: Any) -> Said:
    return draft.put("train.prompt_loss_weight", 1.0) if value else ("needless", "as here")


_METHOD: Mapping[str, Rule] = {
    "stage": _stage,
    "finetuning_type": _method,
    "quantization_bit": _bits,
    "quantization_method": needless("nf4, by bitsandbytes"),
    "double_quantization": needless("nf4 with doubly quantised scales"),
    "lora_rank": _rank,
    "lora_alpha": to("train.lora.alpha", int),
    "lora_dropout": to("train.lora.dropout", float),
    "lora_target": _targets,
    "additional_target": to("train.lora.modules_to_save", _listed),
    "use_rslora": flag("train.lora.use_rslora"),
    "use_dora": flag("train.lora.use_dora"),
    "pissa_init": to("train.lora.init_lora_weights", lambda on: "pissa" if on else "default"),
    "pissa_iter": needless("the singular values are computed exactly"),
    "pissa_convert": needless("it is saved as a plain adapter"),
    "adapter_name_or_path": different(
        "a tune begins with a model: merge that adapter, and name the folder"
    ),
    "create_new_adapter": needless("a tune begins with a new adapter"),
    "use_dft_loss": to("train.loss", lambda on: "dft" if on else "nll"),
    "train_on_prompt": _on_prompt,
    "mask_history": different("every answer of a conversation is learned"),
    **{
        key: different(_NO_LAYERS)
        for key in ("freeze_trainable_layers", "freeze_trainable_modules", "use_llama_pro")
        + ("freeze_vision_tower", "freeze_multi_modal_projector")
    },
    "freeze_language_model": needless("off"),
    **{
        key: different("there is no such training here")
        for key in ("use_galore", "use_apollo", "use_badam", "use_adam_mini", "use_muon")
        + ("loraplus_lr_ratio", "mixture_of_depths", "use_asft_loss", "asft_alpha", "use_eaft_loss")
        + ("pref_beta", "pref_loss", "reward_model", "oft_block_size", "oft_target")
    },
}

_ROWS: Mapping[str, Rule] = {
    "dataset": _dataset,
    "dataset_dir": needless("part of curate.from"),
    "eval_dataset": different("held-out rows are taken from the same source: curate.held_out"),
    "template": _template,
    "cutoff_len": _length,
    "max_samples": to("curate.first", int),
    "val_size": held_out,
    "enable_thinking": needless("a template's thinking is read from the base"),
    **{
        key: needless("rows are laid side by side without padding, and never see each other")
        for key in ("packing", "neat_packing")
    },
    **{
        key: different("pictures, films and sound are not read")
        for key in ("image_max_pixels", "video_max_pixels", "video_fps", "video_maxlen")
    },
    **{
        key: needless(FOLDERS)
        for key in ("overwrite_cache", "tokenized_path", "preprocessing_num_workers")
    },
}

_STEPS: Mapping[str, Rule] = {
    "do_train": needless("`train:` in a recipe says so"),
    "do_eval": needless("`evaluate:` in a recipe says so"),
    "per_device_train_batch_size": to("train.per_device_train_batch_size", int),
    "per_device_eval_batch_size": needless(SPEED),
    "lr_scheduler_type": schedule,
    "optim": optimizer,
    "eval_strategy": _eval_strategy,
    "bf16": half_precision,
    "pure_bf16": different("weights that are trained are kept in float32"),
    "disable_gradient_checkpointing": _recompute,
    "enable_liger_kernel": flag("train.use_liger_kernel"),
    "plot_loss": needless("the report draws the curve"),
    "run_name": needless("a run has the recipe's name and a date"),
    "fp8_backend": needless("torchao's"),
    "fp8_enable_fsdp_float8_all_gather": different(SHARDED),
    **{
        key: needless(SPEED)
        for key in ("flash_attn", "use_unsloth", "use_unsloth_gc", "use_v1_kernels")
    },
    "deepspeed": different(DEEPSPEED),
    "fsdp": different(SHARDED),
    "fsdp_config": different(SHARDED),
    "fsdp_transformer_layer_cls_to_wrap": needless("each layer is a part of its own"),
    **{
        key: different("processes share rows only: train.processes")
        for key in ("tensor_model_parallel_size", "pipeline_model_parallel_size")
        + ("expert_model_parallel_size", "context_parallel_size", "sequence_parallel")
    },
    "gradient_checkpointing": to("train.gradient_checkpointing", bool),
    "ray_num_workers": different("train.processes is of one machine"),
}

KEYS: Mapping[str, Rule] = {
    **SHARED,
    "model_name_or_path": to("base.model", str),
    "model_revision": to("base.revision", str),
    **_METHOD,
    **_ROWS,
    **_STEPS,
}


# What a config that is silent means, where a recipe that is silent means something else.
DEFAULTS: Mapping[str, Any] = {
    "lora_rank": 8,
    "cutoff_len": 2048,
    "learning_rate": 5e-5,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "val_size": 0.0,
    "seed": 42,
}


def is_llama_factory(config: Mapping[str, Any]) -> bool:
    return "model_name_or_path" in config and bool(config.keys() & {"finetuning_type", "stage"})


def method(config: Mapping[str, Any]) -> str:
    """finetuning_type is lora where it is not said."""
    return "full" if config.get("finetuning_type") == "full" else "lora"
