"""Configs of axolotl and LLaMA-Factory: every key is accounted for, and what is written is a recipe that says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.api import opened
from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.start.other_tools.foreign_recipe import (
    TOOLS,
    OtherTool,
    foreign_recipe,
    print_foreign,
)
from alpaca_pipe.start.other_tools.starter import STARTERS, write_starter
from alpaca_pipe.start.other_tools.translation import Translated, translated

AXOLOTL: dict[str, Any] = {
    "base_model": "org/base",
    "model_type": "LlamaForCausalLM",
    "load_in_8bit": False,
    "load_in_4bit": True,
    "datasets": [{"path": "org/rows", "type": "alpaca"}],
    "val_set_size": 120,
    "output_dir": "./outputs/one",
    "adapter": "qlora",
    "lora_r": 32,
    "lora_alpha": 64,
    "lora_target_modules": ["q_proj", "v_proj"],
    "sequence_len": 1024,
    "sample_packing": True,
    "wandb_project": None,
    "gradient_accumulation_steps": 4,
    "micro_batch_size": 2,
    "num_epochs": 4,
    "optimizer": "adamw_bnb_8bit",
    "lr_scheduler": "cosine",
    "learning_rate": "2e-4",
    "warmup_ratio": 0.1,
    "evals_per_epoch": 2,
    "gradient_checkpointing": True,
    "special_tokens": {"pad_token": "<pad>"},
    "deepspeed": "zero3.json",
    "made_up_key": 7,
}
FACTORY: dict[str, Any] = {
    "model_name_or_path": "org/base",
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_target": "q_proj, v_proj",
    "dataset": "mine",
    "template": "vicuna",
    "max_samples": 90,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "bf16": True,
    "val_size": 0.1,
    "resume_from_checkpoint": None,
}


def written(folder: Path, config: dict[str, Any], **changes: Any) -> tuple[Recipe, dict[str, Any]]:
    """The recipe that is read from what was written, and what became of each key."""
    file = folder / "theirs.yml"
    file.write_text(json.dumps(config | changes), encoding="utf-8")
    assert print_foreign(file, None, write=True)
    found = foreign_recipe(file)
    assert found is not None
    recipe = folder / "theirs-recipe.yaml"
    loaded = load_recipe(str(recipe), CATALOG)
    recipe.unlink()
    return loaded, dict(found.draft.said)


def test_axolotl(tmp_path: Path) -> None:
    recipe, said = written(tmp_path, AXOLOTL)
    train: Any = recipe.stages["train"]
    curate: Any = recipe.stages["curate"]
    assert (train.method, train.lora.r, train.lora.alpha, train.lora.dropout) == (
        "qlora",
        32,
        64,
        0,
    )
    assert train.lora.target_modules == ("q_proj", "v_proj")
    assert (train.max_length, train.learning_rate, train.warmup_steps) == (1024, 2e-4, 0.1)
    assert (train.per_device_train_batch_size, train.gradient_accumulation_steps) == (2, 4)
    # twice an epoch, of four epochs
    assert (train.eval_strategy, train.eval_steps, train.template) == ("steps", 0.125, "alpaca")
    assert (curate.source, curate.held_out, train.seed) == ("hub:org/rows", 120, 42)
    assert recipe.tables["base"].model == "org/base"
    assert set(AXOLOTL) <= set(said)
    assert {key for key, (fate, _) in said.items() if fate == "unknown"} == {"made_up_key"}
    assert {key for key, (fate, _) in said.items() if fate == "different"} == {"deepspeed"}


def test_llama_factory(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    info = {"mine": {"file_name": "rows.json"}, "another": {"file_name": "more.json"}}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(info))
    recipe, said = written(tmp_path, FACTORY)
    train: Any = recipe.stages["train"]
    curate: Any = recipe.stages["curate"]
    # what it does where nothing is said: rank 8, alpha twice the rank, 5e-5, linear without warm-up, 2,048 tokens
    assert (train.lora.r, train.lora.alpha, train.learning_rate) == (8, 16, 5e-5)
    assert (train.lr_scheduler_type, train.warmup_steps, train.max_length) == ("linear", 0, 2048)
    assert (train.template, curate.first, curate.split) == ("vicuna", 90, "mine")
    assert curate.source == tmp_path / "data" and recipe.tables["base"].dtype == "bfloat16"
    assert said["val_size"][0] == "different" and set(FACTORY) <= set(said)


def test_all_weights_stay_in_fp32_and_have_no_adapter(tmp_path: Path) -> None:
    recipe, said = written(tmp_path, AXOLOTL, adapter=None, load_in_4bit=False, bf16=True)
    train: Any = recipe.stages["train"]
    assert train.method == "full" and recipe.tables["base"].dtype == "float32"
    assert said["bf16"][0] == "needless"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: str(tool.name))
def test_an_empty_key_asks_for_nothing(tool: OtherTool) -> None:
    draft = translated(dict.fromkeys(tool.rules), tool.rules, Translated({}))
    assert not draft.recipe and {fate for fate, _ in draft.said.values()} == {"needless"}


@pytest.mark.parametrize("tool", STARTERS)
@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_there_and_back(tool: str, method: str, tmp_path: Path) -> None:
    """A starter config of a recipe is that recipe's training, when it is read again; and its rows are the training rows."""
    (tmp_path / "rows.json").write_text(
        json.dumps([{"instruction": "Say one.", "input": "", "output": "One."}])
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        f"base: {{model: org/base}}\ncurate: {{from: rows.json, held_out: 0}}\ntrain: {{method: {method}, "
        "template: vicuna, max_length: 700, warmup_steps: 0.25, num_train_epochs: 2, optim: adamw_torch, seed: 3, "
        "lora: {r: 4, alpha: 12, dropout: 0.125, target_modules: [q_proj]}}\n"
    )
    recipe = load_recipe(str(mine), CATALOG)
    rows = tmp_path / "train.jsonl"
    example = Example("e1-0", "Say one.", "", "One.", Origin("seed", "rows.json"))
    rows.write_text(json.dumps(example.to_row()) + "\n")
    folder = tmp_path / "there"
    notes = write_starter(recipe, rows, tool, folder)
    assert any("train.from" in note for note in notes)
    assert json.loads((folder / "train.json").read_text())[0]["output"] == "One."

    again, _ = written(folder, yaml_of(folder / f"{tool}.yaml"))
    before: Any = recipe.stages["train"]
    after: Any = again.stages["train"]
    for name in (
        "method",
        "template",
        "max_length",
        "warmup_steps",
        "num_train_epochs",
        "optim",
        "seed",
    ):
        assert getattr(after, name) == getattr(before, name), name
    assert after.learning_rate == (2e-5 if method == "full" else 2e-4)
    if method != "full":
        assert after.lora == before.lora
    with pytest.raises(UserError, match="is there already"):
        write_starter(recipe, rows, tool, folder)


def yaml_of(file: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    found: dict[str, Any] = YAML(typ="safe").load(file.read_text())
    return found


def test_a_value_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yml"
    file.write_text(json.dumps(AXOLOTL | {"micro_batch_size": "many"}))
    with pytest.raises(UserError, match="micro_batch_size: 'many' is not what this key takes"):
        print_foreign(file, None, write=True)
    assert not (tmp_path / "theirs-recipe.yaml").exists()


def test_no_file_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yml"
    file.write_text(json.dumps(AXOLOTL))
    (tmp_path / "theirs-recipe.yaml").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        print_foreign(file, None, write=True)
    assert (tmp_path / "theirs-recipe.yaml").read_text() == "mine"


def test_our_own_recipe_is_none_of_theirs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("curate:\n  from: rows.jsonl\n")
    assert foreign_recipe(file) is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("batch_size: 16\nmicro_batch_size: 2", {"gradient_accumulation_steps": 8}),
        ("load_in_4bit: true\nadapter: lora", {"method": "qlora"}),
        ("adapter: lora\nload_in_4bit: true", {"method": "qlora"}),
        ("warmup_ratio: 0.1\nwarmup_steps: 0", {"warmup_steps": 0.1}),
        ("warmup_steps: 20\nwarmup_ratio: 0.1", {"warmup_steps": 20.0}),
    ],
)
def test_keys_that_say_one_thing_together(
    tmp_path: Path, config: str, said: dict[str, object]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"base_model: a/b\nsequence_len: 512\n{config}\n")
    recipe = foreign_recipe(file)
    assert recipe
    assert {key: recipe.draft.recipe["train"][key] for key in said} == said


def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xff\xfeb\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        foreign_recipe(file)


@pytest.mark.parametrize("tool", STARTERS)
def test_a_starter_names_a_base_that_lies_here_and_the_recipes_seed(
    tool: str, tmp_path: Path
) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "rows.json").write_text("[]")
    (tmp_path / "mine.jinja").write_text("{{ instruction }} {{ output }}")
    mine = tmp_path / "mine.yaml"
    text = "seed: 9\nbase: {model: base}\ncurate: {from: rows.json}\ntrain: "
    rows = tmp_path / "train.jsonl"
    example = Example("e1-0", "Say one.", "", "One.", Origin("seed", "rows.json"))
    rows.write_text(json.dumps(example.to_row()) + "\n")
    mine.write_text(text + "{method: lora}\n")
    folder = tmp_path / "there"
    write_starter(load_recipe(str(mine), CATALOG), rows, tool, folder)
    told = yaml_of(folder / f"{tool}.yaml")
    assert str(tmp_path / "base") in (told.get("base_model"), told.get("model_name_or_path"))
    assert told["seed"] == 9
    for train, said in (("template: mine.jinja", "of your own"), ("objective: distill", "is sft")):
        mine.write_text(f"{text}{{{train}}}\n")
        with pytest.raises(UserError, match=said):
            write_starter(load_recipe(str(mine), CATALOG), rows, tool, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_is_no_recipe_of_anybodys_is_left_as_it_is(tmp_path: Path) -> None:
    from alpaca_pipe.recipe.migrate import migrate

    file = tmp_path / "other.yml"
    file.write_text("micro_batch_size: 1\nsequence_len: 5\n")
    with pytest.raises(UserError, match="no recipe has such a table, so nothing was changed"):
        migrate(file, CATALOG)
    assert file.read_text() == "micro_batch_size: 1\nsequence_len: 5\n"


@pytest.mark.parametrize(("config", "tool"), [(AXOLOTL, "axolotl"), (FACTORY, "LLaMA-Factory")])
def test_a_plan_of_their_config_names_the_command_that_reads_it(
    config: dict[str, Any], tool: str, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.yml"
    file.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        opened(str(file), (), tmp_path / "runs", rehearse=False)
    assert str(refused.value) == (
        f"{file}: this is a config of {tool}, and no recipe - `alpaca-pipe migrate {file}` writes a recipe of it, and accounts "
        "for each key"
    )


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize(("share", "held"), [(0.1, 15), (0.9, 75)])
def test_a_share_of_rows_that_are_at_hand_is_a_number(
    tmp_path: Path, form: str, share: float, held: int
) -> None:
    rows = [{"instruction": f"Say {n}.", "output": f"It is {n}."} for n in range(150)]
    text = json.dumps(rows) if form == "json" else "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / f"rows.{form}").write_text(text)
    data = [{"path": f"rows.{form}", "type": "alpaca"}]
    recipe, said = written(tmp_path, AXOLOTL, datasets=data, val_set_size=share)
    assert recipe.stages["curate"].held_out == held  # type: ignore[attr-defined]
    assert said["val_set_size"][0] == "carried" and "of 150 rows" in said["val_set_size"][1]


def test_a_share_of_rows_that_are_not_here_is_the_smallest_sensible_number(tmp_path: Path) -> None:
    recipe, said = written(tmp_path, AXOLOTL, val_set_size=0.05)
    assert recipe.stages["curate"].held_out == 16  # type: ignore[attr-defined]
    assert "a share of 0.05 of rows that are not here yet" in said["val_set_size"][1]
