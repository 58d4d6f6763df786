"""Weights in parts over two processes: the losses of one, checkpoints that nobody gathered, a whole model at the end."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from safetensors.torch import load_file

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.models.architecture import LLAMA_7B
from alpaca_pipe.models.fit import GB, in_parts, memory
from alpaca_pipe.models.loading import load_model
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.job import perform
from alpaca_pipe.train.processes import perform_together
from alpaca_pipe.train.sharding import fill, is_part, put_together, too_large, whole
from alpaca_pipe.train.trainer import in_step
from alpaca_pipe.weights.base import Checkpoint
from tests.train.conftest import with_
from tests.train.test_midway import midway
from tests.train.test_processes import FULL, PLAIN, job, losses

PARTS = {
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 2,
    "processes": 2,
    "fsdp": True,
}
go_on = lambda: False
unheard = lambda *_: None


def saved(folder: Path) -> dict[str, Any]:
    (file,) = (folder / "model").glob("*model.safetensors")
    return load_file(file)


def assert_same_model(one: Path, other: Path, room: float) -> None:
    a, b = saved(one), saved(other)
    assert set(a) == set(b)
    for name, weight in a.items():
        assert weight.shape == b[name].shape
        assert float((weight - b[name]).abs().max()) <= room, name


@pytest.mark.parametrize(
    "hyper, room",
    [(FULL, 1e-5), pytest.param(PLAIN, 1e-3, marks=pytest.mark.slow)],
    ids=["full", "lora"],
)
def test_two_that_hold_a_part_each_train_as_one_that_holds_all(
    hyper: Hyperparameters, room: float, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """19 rows at 4 a step: in the last step one process has two micro-batches and the other has one."""
    rows = encoded[:19]
    one = job(tiny, rows, hyper, tmp_path / "one")
    assert perform(one, go_on, unheard)
    two = job(tiny, rows, with_(hyper, **PARTS), tmp_path / "two")
    assert perform_together(two, go_on, unheard)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert_same_model(tmp_path / "one", tmp_path / "two", room)
    if hyper.lora is None:
        config = [read_json(tmp_path / name / "model" / "config.json") for name in ("one", "two")]
        assert config[0] == config[1]
    _each_wrote_its_part(tmp_path / "two" / "scratch")


def _each_wrote_its_part(scratch: Path) -> None:
    (checkpoint,) = scratch.glob("checkpoint-*")
    assert not (checkpoint / "optimizer.pt").exists()
    assert not list(checkpoint.glob("*.safetensors"))
    sizes = [
        (checkpoint / "optimizer_0" / f"__{rank}_0.distcp").stat().st_size for rank in range(2)
    ]
    assert 0.3 < sizes[0] / sum(sizes) < 0.7


@pytest.mark.slow
def test_one_is_killed_and_both_go_on_with_the_same_numbers(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    hyper = with_(FULL, **PARTS, num_train_epochs=2.0)
    whole, parts = (job(tiny, encoded[:18], hyper, tmp_path / name) for name in ("whole", "parts"))
    assert perform_together(whole, go_on, unheard)

    def kill(step: int, loss: float) -> None:
        if step == 4:
            for child in psutil.Process().children():
                if child.environ().get("RANK") == "1":
                    child.send_signal(signal.SIGKILL)

    with pytest.raises(UserError, match="process 2 of 2 ended .killed by signal 9."):
        perform_together(parts, go_on, kill)
    assert not psutil.Process().children()
    seen: list[int] = []
    assert perform_together(parts, go_on, lambda step, loss: seen.append(step))
    assert seen[0] >= 4, "it began again"
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_model(tmp_path / "whole", tmp_path / "parts", 0.0)


@pytest.mark.slow
def test_they_score_on_the_way_and_keep_the_best(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """The first evaluation is the best one at such a rate, so weights are put back in parts."""
    wild = with_(FULL, learning_rate=0.3, num_train_epochs=1.0)
    how = midway(encoded[17:], 1, best=True)
    one = replace(job(tiny, encoded[:16], wild, tmp_path / "one"), midway=how)
    assert perform(one, go_on, unheard)
    two = job(tiny, encoded[:16], with_(wild, **PARTS), tmp_path / "two")
    assert perform_together(replace(two, midway=how), go_on, unheard)
    found = [
        [row["eval_loss"] for row in read_jsonl(tmp_path / name / "eval.jsonl")]
        for name in ("one", "two")
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    best = read_json(tmp_path / "two" / "model" / "best_checkpoint.json")
    assert best["step"] < len(found[1])

    model = load_model(Checkpoint(str(tmp_path / "two" / "model")), "float32")
    scores = response_losses(model.eval(), [(row,) for row in encoded[17:]])
    again = sum(one.nats for one in scores) / sum(one.tokens for one in scores)
    assert again == pytest.approx(best["eval_loss"], rel=1e-5)


@pytest.mark.slow
def test_dora_with_activations_computed_again(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    hyper = with_(PLAIN, lora={**(PLAIN.lora or {}), "use_dora": True}, checkpointing=True)
    assert perform(job(tiny, encoded[:8], hyper, tmp_path / "one"), go_on, unheard)
    two = job(tiny, encoded[:8], with_(hyper, **PARTS), tmp_path / "two")
    assert perform_together(two, go_on, unheard)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert_same_model(tmp_path / "one", tmp_path / "two", 1e-3)


def test_a_process_with_fewer_micro_batches_gets_empty_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert in_step([1, 2], lambda: 0) == [1, 2]
    monkeypatch.setattr("alpaca_pipe.train.trainer.largest", lambda number: 4)
    assert in_step([1, 2], lambda: 0) == [1, 2, 0, 0]


@pytest.mark.parametrize(
    "more, said",
    [
        ({"processes": 1}, "one process holds all of it"),
        ({"method": "qlora"}, "4 bits cannot be split"),
        ({"optim": "paged_adamw_8bit"}, "cannot be split"),
        ({"fp8": True}, "leave one of them out"),
        ({"lora": {"init_lora_weights": "pissa"}}, "PiSSA changes the base"),
    ],
)
def test_what_cannot_be_split_is_refused(more: dict[str, Any], said: str) -> None:
    TrainConfig.model_validate({"fsdp": True, "processes": 2})
    with pytest.raises(ValueError, match=said):
        TrainConfig.model_validate({"fsdp": True, "processes": 2} | more)


def test_a_recipe_without_the_key_is_the_step_that_it_was() -> None:
    assert "fsdp" not in TrainConfig.model_validate({}).identity()
    assert TrainConfig.model_validate({"fsdp": True, "processes": 2}).identity()["fsdp"] is True


def test_memory_of_a_gpu_that_holds_a_part() -> None:
    """LLaMA-7B, 16 bytes a parameter: 108 GB on one GPU, a quarter of it on each of four, and what is whole for a moment."""
    one = memory(LLAMA_7B, "full", 8 * 512)
    four = in_parts(one, LLAMA_7B, "full", "fsdp", 4)
    held = four.weights + four.gradients + four.optimizer
    assert held == pytest.approx(16 * 6.738e9 / 4, rel=0.01)
    assert 2 * GB < four.copies < 5 * GB
    assert four.activations == one.activations
    assert four.total < 80 * GB < one.total


def test_a_base_that_one_gpu_would_not_hold_is_opened_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = torch.nn.Linear(100, 100, bias=False)  # 40,000 bytes
    assert not too_large(layer), "there is no GPU to be too large for"
    monkeypatch.setattr("alpaca_pipe.train.sharding.device", lambda: torch.device("cuda"))
    for free, expected in ((60_000, False), (50_000, True)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 10**9))
        assert too_large(layer) is expected


def test_what_has_no_parts_is_whole_and_filled_as_it_is() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    with torch.no_grad():
        fill(weight, torch.ones(3))
    assert not is_part(weight) and torch.equal(whole(weight), torch.ones(3))
    put_together(torch.nn.Linear(2, 2), first=True)
