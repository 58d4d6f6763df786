"""axolotl's YAML, as of its version 0.18 (2026-07): its keys, and what each is in a recipe."""

from __future__ import annotations

import re
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

_BASE = "read from the base itself"
_PACKED = "rows are laid side by side without padding, and never see each other"
_KERNELS = "speed alone: what a LoRA layer computes stays the same"
_OFF_METHODS = "there is no such training here"


def _adapter(draft: Translated, value: Any) -> Said:
    if str(value) == "lora" and draft.config.get("load_in_4bit"):
        return draft.put("train.method", "qlora")
    if str(value) in ("lora", "qlora"):
        return draft.put("train.method", str(value))
    return "different", f"{value}: adapters here are LoRA; method lora is used"


def _in_4_bits(draft: Translated, value: Any) -> Said:
    if not value:
        return "needless", "off"
    return draft.put("train.method", "qlora")


def _targets(draft: Translated, value: Any) -> Said:
    if isinstance(value, str):
        return (
            "different",
            f"'{value}' is a pattern: lora.target_modules takes names; all-linear is used",
        )
    return draft.put("train.lora.target_modules", [str(name) for name in value])


def _all_linear(draft: Translated, value: Any) -> Said:
    return draft.put("train.lora.target_modules", "all-linear") if value else ("needless", "off")


def _template(draft: Translated, value: Any) -> Said:
    own = {"alpaca": "alpaca", "vicuna": "vicuna", "chatml": "chatml", "llama3": "llama3"}
    return draft.put("train.template", own.get(str(value), "chat"))


def _datasets(draft: Translated, value: Any) -> Said:
    entries = [one for one in value if isinstance(one, Mapping) and one.get("path")]
    if not entries:
        return "different", "no dataset with a path is named: write curate.from"
    first, *others = entries
    said = [_source(draft, first)]
    kind = first.get("type")
    if "chat_template" not in draft.config:
        draft.put("train.template", "alpaca" if str(kind).startswith("alpaca") else "chat")
    if isinstance(kind, Mapping):
        said += _own_prompt(draft, kind)
    elif str(kind) in ("completion", "pretrain"):
        said.append("type completion: text without an instruction")
    if others:
        names = ", ".join(str(one["path"]) for one in others)
        said.append(f"one source is read: put the rows of {names} beside it, in one folder")
    return ("different", "; ".join(filter(None, said))) if any(said) else ("carried", "curate.from")


def _source(draft: Translated, entry: Mapping[str, Any]) -> str:
    """What of an entry could not be carried over, if anything."""
    path, split = str(entry["path"]), entry.get("split")
    files = entry.get("data_files")
    if (
        entry.get("ds_type")
        or path.startswith((".", "/", "~"))
        or path.endswith((".json", ".jsonl"))
    ):
        named = files[0] if isinstance(files, list) else files
        draft.put("curate.from", str(named or path))
        if split and split != "train":
            draft.put("curate.split", str(split))
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        draft.put("curate.from", f"hub:{path}" + (f":{split}" if _plain(split) else ""))
    else:
        return f"{path} is not a dataset on the hub: write curate.from"
    names = {"messages": entry.get("field_messages"), "system": entry.get("field_system")}
    names |= _turn_keys(entry.get("message_property_mappings"))
    if columns := {part: str(name) for part, name in names.items() if name}:
        draft.put("curate.columns", columns)
    lost = [key for key in ("name", "shards", "roles", "trust_remote_code") if entry.get(key)]
    if split and not _plain(split) and not str(split).isalnum():
        lost.append(f"split {split}")
    return f"{', '.join(lost)} of {path} is not carried over" if lost else ""


def _plain(split: Any) -> bool:
    return isinstance(split, str) and split != "train" and split.replace("_", "").isalnum()


def _turn_keys(named: Any) -> dict[str, Any]:
    keys = named if isinstance(named, Mapping) else {}
    return {part: keys[part] for part in ("role", "content") if keys.get(part)}


def _own_prompt(draft: Translated, kind: Mapping[str, Any]) -> list[str]:
    fields = {
        "instruction": kind.get("field_instruction"),
        "input": kind.get("field_input"),
        "output": kind.get("field_output"),
        "system": kind.get("field_system"),
    }
    if columns := {part: str(name) for part, name in fields.items() if name}:
        draft.put("curate.columns", columns)
    own = [key for key in ("format", "no_input_format", "system_prompt") if kind.get(key)]
    return [f"{', '.join(own)}: a prompt of your own is not carried over"] if own else []


def _evals_per_epoch(draft: Translated, value: Any) -> Said:
    times = float(value)
    if not times:
        return "needless", "off"
    if times == 1:
        return draft.put("train.eval_strategy", "epoch")
    draft.put("train.eval_strategy", "steps")
    share = 1 / (times * max(1.0, float(draft.config.get("num_epochs") or 1)))
    return draft.put("train.eval_steps", round(share, 6))


def _eval_strategy(draft: Translated, value: Any) -> Said:
    if str(value) in ("steps", "epoch", "no"):
        return draft.put("train.eval_strategy", str(value))
    return "different", f"{value}: steps, epoch, usd or no"


def _batch(draft: Translated, value: Any) -> Said:
    at_once = int(draft.config.get("micro_batch_size") or 1)
    return draft.put("train.gradient_accumulation_steps", max(1, int(value) // at_once))


def _plugins(draft: Translated, value: Any) -> Said:
    known = ("cut_cross_entropy", "liger", "kernels")
    named = [value] if isinstance(value, str) else list(value)
    others = [one for one in named if not any(f".{name}" in str(one) for name in known)]
    return (
        ("different", f"no plugin is loaded: {', '.join(others)}")
        if others
        else ("needless", SPEED)
    )


def _special(draft: Translated, value: Any) -> Said:
    changed = [key for key in value if key != "pad_token"] if isinstance(value, Mapping) else []
    if changed:
        return "different", f"{', '.join(changed)}: ids stay those of the base"
    return "needless", "nothing is padded that is learned"


def _on_inputs(draft: Translated, value: Any) -> Said:
    return draft.put("train.prompt_loss_weight", 1.0) if value else ("needless", "as here")


def _recompute(draft: Translated, value: Any) -> Said:
    return draft.put("train.gradient_checkpointing", bool(value))


_TRACKERS: Mapping[str, Rule] = {
    "wandb_project": to("train.report_to", lambda _: "wandb"),
    "trackio_project_name": to("train.report_to", lambda _: "trackio"),
    "use_tensorboard": to("train.report_to", lambda _: "tensorboard"),
    "use_wandb": to("train.report_to", lambda on: "wandb" if on else "none"),
    **{
        key: needless("the tracker's own settings are read from its environment variables")
        for key in ("wandb_entity", "wandb_watch", "wandb_name", "wandb_run_id", "wandb_log_model")
        + ("trackio_run_name", "trackio_space_id")
    },
    **{
        key: different("trackers here are tensorboard, trackio and wandb")
        for key in ("use_swanlab", "use_mlflow", "use_comet", "mlflow_tracking_uri")
    },
}

_METHOD: Mapping[str, Rule] = {
    "adapter": _adapter,
    "load_in_4bit": _in_4_bits,
    "load_in_8bit": different("a frozen base stays in base.dtype; method qlora has it in 4 bits"),
    "bnb_config_kwargs": needless("nf4 with doubly quantised scales"),
    "lora_r": to("train.lora.r", int),
    "lora_alpha": to("train.lora.alpha", int),
    "lora_dropout": to("train.lora.dropout", float),
    "lora_target_modules": _targets,
    "lora_target_linear": _all_linear,
    "lora_modules_to_save": to("train.lora.modules_to_save", list),
    "peft_use_rslora": flag("train.lora.use_rslora"),
    "peft_use_dora": flag("train.lora.use_dora"),
    "lora_model_dir": different(
        "a tune begins with a model: merge that adapter, and name the folder"
    ),
    "lora_fan_in_fan_out": needless(_BASE),
    "lora_target_parameters": different("parameters that are not layers get no adapter"),
    "unfrozen_parameters": different("method full trains all weights; lora.modules_to_save some"),
    "rl": different("preferences are learned by a stage of their own, `align:`"),
    "qat": different(_OFF_METHODS),
    "gptq": different("a quantised base is not trained; method qlora quantises one itself"),
    "relora": different(_OFF_METHODS),
    "full_finetune": needless("method full is what no adapter means"),
    **{key: needless(_KERNELS) for key in ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")},
}

_ROWS: Mapping[str, Rule] = {
    "datasets": _datasets,
    "val_set_size": held_out,
    "chat_template": _template,
    "special_tokens": _special,
    "tokens": different("no tokens are added to the base's"),
    "eot_tokens": needless("what ends an answer is found by rendering the template"),
    "train_on_inputs": _on_inputs,
    "pretraining_dataset": different(
        "plain text is learned by train.objective: pretrain, from a table `texts:`"
    ),
    "dataset_exact_deduplication": needless("exact repeats are always dropped"),
    "resize_token_embeddings_to_32x": different("the embedding keeps its size"),
    "sequence_len": to("train.max_length", int),
    **{
        key: needless(_PACKED)
        for key in ("sample_packing", "eval_sample_packing", "pad_to_sequence_len")
        + ("max_packed_sequence_len", "sample_packing_eff_est", "sample_packing_seq_len_multiplier")
        + ("total_num_tokens",)
    },
    **{
        key: needless(FOLDERS)
        for key in ("dataset_prepared_path", "skip_prepare_dataset", "shuffle_merged_datasets")
    },
    "push_dataset_to_hub": needless("`alpaca-pipe push RECIPE OWNER/NAME` uploads, afterwards"),
}

_STEPS: Mapping[str, Rule] = {
    "micro_batch_size": to("train.per_device_train_batch_size", int),
    "batch_size": _batch,
    "num_epochs": to("train.num_train_epochs", float),
    "optimizer": optimizer,
    "lr_scheduler": schedule,
    "adam_eps": to("train.adam_epsilon", float),
    "torchdistx_path": needless(SPEED),
    "evals_per_epoch": _evals_per_epoch,
    "eval_strategy": _eval_strategy,
    "evaluation_strategy": _eval_strategy,
    "saves_per_epoch": needless(
        "checkpoints are spaced by what one takes; train.save_steps says otherwise"
    ),
    "save_strategy": needless("checkpoints are spaced by what one takes"),
    "auto_resume_from_checkpoints": needless("the same command always continues where it was"),
    "bf16": half_precision,
    "bfloat16": half_precision,
    "float16": different("weights are float32 or bfloat16 here"),
    "torch_dtype": needless("base.dtype"),
    "gradient_checkpointing": _recompute,
    "loss_watchdog_threshold": different(
        "a loss that is not a number stops a tune; no other is judged"
    ),
    "loss_watchdog_patience": different(
        "a loss that is not a number stops a tune; no other is judged"
    ),
    "eval_batch_size": needless(SPEED),
    "eval_table_size": needless("answers side by side stand in the report"),
    "eval_max_new_tokens": needless("evaluate.max_new_tokens is of the evaluation afterwards"),
    "do_causal_lm_eval": different("`evaluate:` scores the held-out rows afterwards"),
    "curriculum_sampling": different("rows come in an order that train.seed draws"),
    "fsdp": different(SHARDED),
    "fsdp_config": different(SHARDED),
    "fsdp_version": different(SHARDED),
    "deepspeed": different(DEEPSPEED),
    "plugins": _plugins,
    **{
        key: different("processes share rows only: train.processes")
        for key in ("context_parallel_size", "tensor_parallel_size", "expert_parallel_size")
        + ("dp_shard_size", "dp_replicate_size")
    },
    **{
        key: flag("train.use_liger_kernel")
        for key in ("liger_rms_norm", "liger_glu_activation", "liger_rope", "liger_layer_norm")
    },
    **{
        key: needless(SPEED)
        for key in ("attn_implementation", "flash_attention", "sdp_attention", "xformers_attention")
        + (
            "flex_attention",
            "flex_attn_compile_kwargs",
            "flash_attn_cross_entropy",
            "flash_optimum",
        )
        + ("flash_attn_rms_norm", "flash_attn_fuse_mlp", "flash_attn_fuse_qkv", "cut_cross_entropy")
        + ("liger_fused_linear_cross_entropy", "activation_offloading", "tiled_mlp", "use_kernels")
        + ("torch_compile_mode", "torch_compile_backend", "device_map", "dataset_processes")
        + ("experimental_skip_move_to_device", "s2_attention", "accelerator_config", "ddp")
    },
}

_MODEL: Mapping[str, Rule] = {
    "base_model": to("base.model", str),
    "revision_of_model": to("base.revision", str),
    "base_model_config": needless(_BASE),
    "base_model_ignore_patterns": needless(_BASE),
    "model_config": different("the base's config stays as it is"),
    "strict": needless("an unknown key is always refused"),
    "hf_use_auth_token": needless("HF_TOKEN is read where it is set"),
    "tokenizer_use_mistral_common": different("the tokenizer is the base's own, by transformers"),
    **{
        key: needless(_BASE)
        for key in ("model_type", "tokenizer_type", "processor_type", "tokenizer_config")
        + ("tokenizer_use_fast", "tokenizer_legacy", "is_llama_derived_model", "cls_model_config")
    },
}

KEYS: Mapping[str, Rule] = {**SHARED, **_MODEL, **_METHOD, **_ROWS, **_STEPS, **_TRACKERS}


# What a config that is silent means, where a recipe that is silent means something else.
DEFAULTS: Mapping[str, Any] = {
    "sequence_len": 512,
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_epochs": 1.0,
    "lora_dropout": 0.0,
    "val_set_size": 0.0,
    "seed": 42,
}


def is_axolotl(config: Mapping[str, Any]) -> bool:
    return "base_model" in config and bool(
        config.keys() & {"datasets", "sequence_len", "micro_batch_size"}
    )


def method(config: Mapping[str, Any]) -> str:
    """No adapter: all weights."""
    return "lora" if config.get("adapter") else "full"
