"""A DeepSpeed file of the user's own: what it may say, and the losses of one process under each of ZeRO's stages."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.architecture import LLAMA_7B
from alpaca_pipe.models.fit import in_parts, memory
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.deepspeed_config import read_deepspeed
from alpaca_pipe.train.job import perform
from alpaca_pipe.train.packages import check_packages
from alpaca_pipe.train.processes import perform_together
from tests.train.conftest import with_

STAGE_2: dict[str, Any] = {"zero_optimization": {"stage": 2}}


def written(folder: Path, **more: Any) -> Path:
    file = folder / "ds.json"
    file.write_text(json.dumps(STAGE_2 | more))
    return file


def test_what_the_recipe_decides_is_put_to_auto(tmp_path: Path) -> None:
    file = written(tmp_path, train_batch_size="auto", steps_per_print=10, fp16={"enabled": False})
    told = read_deepspeed(file)
    assert told["zero_optimization"] == {"stage": 2} and told["steps_per_print"] == 10
    for key in ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_clipping"):
        assert told[key] == "auto"
    assert told["gradient_accumulation_steps"] == "auto"
    assert told["bf16"] == {"enabled": "auto"}


@pytest.mark.parametrize(
    "more, said",
    [
        ({"train_batch_size": 32}, "train_batch_size is 32, and train.per_device"),
        ({"gradient_clipping": 0.5}, "train.max_grad_norm says that"),
        ({"optimizer": {"type": "AdamW"}}, "train.optim decides it"),
        ({"scheduler": {"type": "WarmupLR"}}, "train.lr_scheduler_type decides it"),
        ({"fp16": {"enabled": "auto"}}, "a GPU computes in bf16"),
        ({"bf16": {"enabled": True}}, "bf16 is decided by the GPU"),
        ({"zero_optimisation": {"stage": 2}}, "did you mean 'zero_optimization'"),
        ({"zero_optimization": {"stage": 0}}, "stage is 0"),
        ({"zero_optimization": {}}, "stage is null"),
        ({"zero_optimization": {"stage": True}}, "stage is true"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as told:
        read_deepspeed(written(tmp_path, **more))
    assert said in f"{told.value.what} - {told.value.cure}"


@pytest.mark.parametrize("text", ["{", "[]", '"a"'])
def test_a_file_that_is_no_json_object_is_a_sentence(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text(text)
    with pytest.raises(UserError, match="train.deepspeed: ds.json"):
        read_deepspeed(file)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"processes": 1}, "one process holds all of it"),
        ({"method": "qlora"}, "4 bits cannot be split"),
        ({"fsdp": True}, "take one of the two out"),
        ({"load_best_model_at_end": True, "eval_strategy": "epoch"}, "forms of its own"),
    ],
)
def test_what_it_is_not_tried_with_is_refused(
    more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        TrainConfig.model_validate({"deepspeed": str(written(tmp_path)), "processes": 2} | more)


def test_the_file_is_part_of_the_step_by_its_content(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = written(tmp_path / name, steps_per_print=len(made))
        made.append(TrainConfig.model_validate({"deepspeed": str(file), "processes": 2}))
    assert made[0].identity()["deepspeed"] != made[1].identity()["deepspeed"]
    assert str(tmp_path) not in json.dumps(made[0].identity())
    assert made[0].split == "zero-2"


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = TrainConfig.model_validate({"deepspeed": str(written(tmp_path)), "processes": 2})
    monkeypatch.setattr("alpaca_pipe.train.packages.find_spec", lambda name: None)
    with pytest.raises(UserError, match="deepspeed needs deepspeed .the extra 'deepspeed'."):
        check_packages(config)


def test_each_stage_splits_more() -> None:
    one = memory(LLAMA_7B, "full", 8 * 512)
    totals = [in_parts(one, LLAMA_7B, "full", f"zero-{stage}", 4).total for stage in (1, 2, 3)]
    assert one.total > totals[0] > totals[1] > totals[2]


@pytest.mark.slow
@pytest.mark.parametrize("stage, method", [(1, "lora"), (2, "full"), (3, "full"), (3, "lora")])
def test_two_processes_train_as_one_under_each_stage(
    stage: int, method: str, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    pytest.importorskip("deepspeed")
    from tests.train.test_fsdp import PARTS, assert_same_model
    from tests.train.test_processes import FULL, PLAIN, job, losses

    hyper = FULL if method == "full" else PLAIN
    assert perform(job(tiny, encoded[:19], hyper, tmp_path / "one"), lambda: False, lambda *_: None)
    zero = {"stage": stage, "stage3_param_persistence_threshold": 0}
    told = read_deepspeed(written(tmp_path, zero_optimization=zero))
    parts = with_(hyper, **(PARTS | {"fsdp": False}), deepspeed=told)
    two = job(tiny, encoded[:19], parts, tmp_path / "two")
    assert perform_together(two, lambda: False, lambda *_: None)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert_same_model(tmp_path / "one", tmp_path / "two", 1e-5 if method == "full" else 1e-3)
    names = {file.name for file in (tmp_path / "two" / "scratch").rglob("*optim_states.pt")}
    assert len(names) == 2, "each process writes its part of the optimizer"


@pytest.mark.slow
def test_one_is_killed_and_both_go_on_under_zero_3(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    pytest.importorskip("deepspeed")
    from tests.train.test_fsdp import PARTS, assert_same_model
    from tests.train.test_processes import FULL, job, losses

    told = read_deepspeed(written(tmp_path, zero_optimization={"stage": 3}))
    hyper = with_(FULL, **(PARTS | {"fsdp": False}), deepspeed=told, num_train_epochs=2.0)
    whole, parts = (job(tiny, encoded[:18], hyper, tmp_path / name) for name in ("whole", "parts"))
    assert perform_together(whole, lambda: False, lambda *_: None)

    def kill(step: int, loss: float) -> None:
        if step == 4:
            for child in psutil.Process().children():
                if child.environ().get("RANK") == "1":
                    child.send_signal(signal.SIGKILL)

    with pytest.raises(UserError, match="process 2 of 2 ended .killed by signal 9."):
        perform_together(parts, lambda: False, kill)
    seen: list[int] = []
    assert perform_together(parts, lambda: False, lambda step, loss: seen.append(step))
    assert seen[0] >= 4, "it began again"
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_model(tmp_path / "whole", tmp_path / "parts", 0.0)
