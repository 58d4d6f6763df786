"""What another tool tuned is taken as it is, or refused in a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.run import train
from alpaca_pipe.train.stage import STAGE
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from alpaca_pipe.weights.tiny import build_tiny

Bench = Callable[..., StageContext]
HERE: dict[str, Any] = {"max_length": 256, "control": "none", "max_steps": 2}


@pytest.fixture
def adapter(bench: Bench) -> Path:
    """As another tool leaves it: the files of peft, and the checkpoints beside them."""
    context = bench("there")
    context.scratch.mkdir(exist_ok=True)
    train(TrainConfig(**HERE), context)
    folder = context.folder / "model"
    (folder / "template.json").unlink()
    (folder / "checkpoint-2").mkdir()
    said = read_json(folder / "adapter_config.json")
    write_json(
        folder / "adapter_config.json", said | {"base_model_name_or_path": "/home/them/base"}
    )
    return folder


def taken(context: StageContext, source: Path, **keys: Any) -> dict[str, Any]:
    context.scratch.mkdir(exist_ok=True)
    config = TrainConfig(**({"max_length": 256, "control": "none", "from": source} | keys))
    return dict(train(config, context).summary)


def test_an_adapter_answers_as_it_did_there(adapter: Path, bench: Bench, tiny: Path) -> None:
    context = bench("here")
    said = taken(context, adapter)
    assert said["rows"] + said["dropped"] == 11 and said["tuned_elsewhere"] is True
    model = context.folder / "model"
    there, here = (load_file(folder / "adapter_model.safetensors") for folder in (adapter, model))
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in there)
    assert "/home/them" not in (model / "adapter_config.json").read_text()
    assert not (context.folder / "control").exists() and not (model / "checkpoint-2").exists()
    load_for_scoring(Checkpoint(str(tiny)), model)


def test_a_whole_model(tiny: Path, bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "theirs"
    shutil.copytree(tiny, source)
    weights = load_file(source / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, source / "model.safetensors", {"format": "pt"})
    context = bench("here")
    taken(context, source, method="full")
    mine = load_file(context.folder / "model" / "model.safetensors")
    assert torch.equal(mine[name], weights[name] + 1)


def test_its_content_is_the_identity_not_its_place(adapter: Path, tmp_path: Path) -> None:
    def identity(folder: Path) -> Any:
        return TrainConfig(**{"control": "none", "from": folder}).identity()

    shutil.copytree(adapter, tmp_path / "elsewhere")
    assert identity(adapter) == identity(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "checkpoint-2" / "optimizer.pt").write_bytes(b"large")
    assert identity(adapter) == identity(tmp_path / "elsewhere")
    weights = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, adapter / "adapter_model.safetensors")
    assert identity(adapter) != identity(tmp_path / "elsewhere")


def test_refused_in_a_sentence(adapter: Path, bench: Bench, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is an adapter, and train.method is full"):
        taken(bench("a"), adapter, method="full")
    with pytest.raises(UserError, match="is a whole model, and train.method is lora"):
        taken(bench("b"), tiny)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds neither an adapter"):
        taken(bench("c"), tmp_path / "empty")
    for folder in (tmp_path / "empty", Path(__file__)):  # said by the plan too
        config = TrainConfig(**{"from": folder, "control": "none"})
        with pytest.raises(UserError, match="holds neither an adapter"):
            STAGE.estimate(config, {"base": BaseTable(model="tiny")}, EstimateInputs())
    with pytest.raises(ValidationError, match="set control: none"):
        TrainConfig(**{"from": tiny, "method": "full"})


def test_an_adapter_of_another_base_is_refused(adapter: Path, bench: Bench, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    other = tmp_path / "other"
    build_tiny(other)
    shape = LlamaConfig.from_pretrained(other)
    shape.hidden_size *= 2
    LlamaForCausalLM(shape).save_pretrained(other)
    context = bench("here")
    context = replace(context, tables={"base": BaseTable(model=other)})
    with pytest.raises(UserError, match="adapter"):
        taken(context, adapter)
    assert not (context.folder / "model").exists()


def test_tokens_of_its_own_are_refused(adapter: Path, bench: Bench) -> None:
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(adapter)
    words.add_tokens(["<think>"])
    words.save_pretrained(adapter)
    with pytest.raises(UserError, match="1 of them are not the base's"):
        taken(bench("here"), adapter)


def test_the_plan_says_what_is_not_used(adapter: Path) -> None:
    config = TrainConfig(**{"from": adapter, "control": "none", "learning_rate": 1e-3})
    said = STAGE.estimate(config, {"base": BaseTable(model="tiny")}, EstimateInputs())
    assert "taken as it is" in said.says and said.minutes.p50 < 1
    assert said.notes == (
        "nothing is trained, so these keys of train have no effect: learning_rate",
    )
