"""A recipe's training rows for another trainer: the rows, its own word for them, and a config with this recipe's numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl, write_atomic
from alpaca_pipe.core.written_yaml import yaml_text
from alpaca_pipe.data.publish import write_as
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.hyperparameters import LEARNING_RATE
from alpaca_pipe.weights.base import BaseTable

_ROWS, _TUNED = "train.json", "tuned"
_UNWRITTEN = ("loss", "prompt_loss_weight", "row_weights", "neftune_noise_alpha", "processes") + (
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
)
Notes = list[str]


def write_starter(recipe: Recipe, rows: Path, tool: str, folder: Path) -> Notes:
    """rows: the train.jsonl of curate, so that no held-out row is trained on. folder: new. Answers what to know.

    Raises UserError for a folder that is there, and a recipe that trains nothing, or elsewhere.
    """
    train, base = recipe.stages.get("train"), recipe.tables.get("base")
    if not isinstance(train, TrainConfig) or not isinstance(base, BaseTable):
        raise UserError(
            f"{recipe.name}: it has no tables 'base:' and 'train:'", "name a recipe that trains"
        )
    if isinstance(train.template, Path):
        raise UserError(
            f"{recipe.name}: train.template is a file of your own ({train.template.name}), which {tool} does not read",
            "name one of the templates, for both sides",
        )
    if train.objective != "sft":
        raise UserError(
            f"{recipe.name}: train.objective is {train.objective}, and what is written for {tool} is sft",
            "remove it from the recipe, or train it here",
        )
    if folder.exists():
        raise UserError(f"{folder} is there already", "name another folder with --out")
    several = any(Example.from_row(row).messages for row in read_jsonl(rows))
    folder.mkdir(parents=True)
    write_as("sharegpt" if several else "alpaca", folder / _ROWS, rows)
    if train.seed is None:
        train = train.model_copy(update={"seed": recipe.seed})
    name, files, notes = _TOOLS[tool](train, base, several)
    for file, content in files.items():
        text = (
            json.dumps(content, indent=2) + "\n" if file.endswith(".json") else yaml_text(content)
        )
        write_atomic(folder / file, text)
    return [
        *notes,
        *(f"not written for {tool}, and not the same there: train.{key}" for key in _lost(train)),
        f"tune there: cd {folder} && {name}",
        f"verdict here: in {recipe.name} set train.from: {folder / _TUNED}, and run it",
    ]


def _lost(train: TrainConfig) -> list[str]:
    """Keys that are set otherwise than by default, and that no starter writes."""
    fields = type(train).model_fields
    lost = [key for key in _UNWRITTEN if getattr(train, key) != fields[key].default]
    return lost + ["lora.init_lora_weights"] * (train.lora.init_lora_weights != "default")


def _where(base: BaseTable) -> str:
    """The other tool runs in a folder of its own: a base that lies here is named by its whole path."""
    return str(base.model.resolve()) if isinstance(base.model, Path) else base.called


def _steps(train: TrainConfig) -> dict[str, Any]:
    """What both call by transformers' names."""
    warm = train.warmup_steps
    return {
        "gradient_accumulation_steps": train.gradient_accumulation_steps,
        "learning_rate": train.learning_rate or LEARNING_RATE[train.method],
        **({"warmup_ratio": warm} if warm < 1 else {"warmup_steps": int(warm)}),
        **({"max_steps": train.max_steps} if train.max_steps else {}),
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "seed": train.seed,
        "logging_steps": 1,
    }


def _axolotl(
    train: TrainConfig, base: BaseTable, several: bool
) -> tuple[str, Mapping[str, Any], Notes]:
    rows: dict[str, Any] = {"path": _ROWS, "ds_type": "json", "type": "alpaca"}
    if several or train.template != "alpaca":
        keys = {"role": "from", "content": "value"}
        spoken = {"field_messages": "conversations", "message_property_mappings": keys}
        rows |= {"type": "chat_template"} | (spoken if several else {})
    config: dict[str, Any] = {"base_model": _where(base), "datasets": [rows]}
    if rows["type"] == "chat_template":
        own = train.template in ("chatml", "llama3", "vicuna")
        config["chat_template"] = train.template if own else "tokenizer_default"
    if train.method != "full":
        config |= _axolotl_adapter(train)
    config |= {
        "sequence_len": train.max_length,
        "sample_packing": True,
        "micro_batch_size": train.per_device_train_batch_size,
        "num_epochs": train.num_train_epochs,
        "optimizer": train.optim,
        "lr_scheduler": train.lr_scheduler_type,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "val_set_size": 0,
        "output_dir": _TUNED,
    }
    return "axolotl train axolotl.yaml", {"axolotl.yaml": config | _steps(train)}, []


def _axolotl_adapter(train: TrainConfig) -> dict[str, Any]:
    lora = train.lora
    targets: dict[str, Any] = (
        {"lora_target_linear": True}
        if isinstance(lora.target_modules, str)
        else {"lora_target_modules": list(lora.target_modules)}
    )
    kept = {"lora_modules_to_save": list(lora.modules_to_save)} if lora.modules_to_save else {}
    return {
        "adapter": train.method,
        "load_in_4bit": train.method == "qlora",
        "lora_r": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "peft_use_rslora": lora.use_rslora,
        "peft_use_dora": lora.use_dora,
        **targets,
        **kept,
    }


def _llama_factory(
    train: TrainConfig, base: BaseTable, several: bool
) -> tuple[str, Mapping[str, Any], Notes]:
    entry: dict[str, Any] = {"file_name": _ROWS}
    if several:
        entry |= {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
    config: dict[str, Any] = {
        "model_name_or_path": _where(base),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full" if train.method == "full" else "lora",
        "dataset": "rows",
        "dataset_dir": ".",
        **({} if train.template == "chat" else {"template": train.template}),
        "cutoff_len": train.max_length,
        "packing": True,
        "neat_packing": True,
        "per_device_train_batch_size": train.per_device_train_batch_size,
        "num_train_epochs": train.num_train_epochs,
        "optim": train.optim,
        "lr_scheduler_type": train.lr_scheduler_type,
        "bf16": True,
        "output_dir": _TUNED,
    }
    if train.method != "full":
        config |= _factory_adapter(train)
    notes = []
    if train.template == "alpaca" and not several:
        notes.append(
            "LLaMA-Factory's template alpaca writes an input below the instruction, without Stanford's '### Input:': "
            "with such rows take template vicuna or chat on both sides"
        )
    files = {"dataset_info.json": {"rows": entry}, "llama-factory.yaml": config | _steps(train)}
    return "llamafactory-cli train llama-factory.yaml", files, notes


def _factory_adapter(train: TrainConfig) -> dict[str, Any]:
    lora = train.lora
    named = isinstance(lora.target_modules, str)
    kept = {"additional_target": ",".join(lora.modules_to_save)} if lora.modules_to_save else {}
    return {
        "lora_rank": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "lora_target": "all" if named else ",".join(lora.target_modules),
        "use_rslora": lora.use_rslora,
        "use_dora": lora.use_dora,
        **(
            {"quantization_bit": 4, "quantization_method": "bnb"} if train.method == "qlora" else {}
        ),
        **kept,
    }


_TOOLS: Mapping[
    str, Callable[[TrainConfig, BaseTable, bool], tuple[str, Mapping[str, Any], Notes]]
] = {"axolotl": _axolotl, "llama-factory": _llama_factory}
STARTERS = tuple(_TOOLS)
