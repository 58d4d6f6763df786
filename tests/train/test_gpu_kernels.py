"""What a GPU may be asked for: refused where there is none, and where it would change what is learned. Nothing here needs a GPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.loading import load_model
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train import gpu_kernels, packages, probe
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.hyperparameters import Kernels
from alpaca_pipe.weights.base import Checkpoint

NAMES = ("use_liger_kernel", "torch_compile", "tf32", "fp8")


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_without_a_gpu_refuses_each_in_a_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = TrainConfig(**{name: True})
    with pytest.raises(UserError, match=f"train.{name}: it is for a CUDA GPU") as failed:
        gpu_kernels.check_gpu(config.kernels)
    assert name in failed.value.cure
    gpu_kernels.check_gpu(TrainConfig().kernels)


def test_a_gpu_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100")
    gpu_kernels.check_gpu(Kernels(tf32=True, use_liger_kernel=True))
    with pytest.raises(UserError, match="train.fp8: NVIDIA A100 has no such arithmetic"):
        gpu_kernels.check_gpu(Kernels(fp8=True))


@pytest.mark.parametrize(
    ("name", "package"), [("use_liger_kernel", "liger_kernel"), ("fp8", "torchao")]
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda asked: None)
    with pytest.raises(UserError, match=rf"train: {name} needs {package} \(the extra 'kernels'\)"):
        packages.check_packages(TrainConfig(**{name: True}))


def test_at_their_defaults_they_are_no_part_of_a_steps_identity() -> None:
    assert not set(NAMES) & set(TrainConfig().identity())
    assert TrainConfig(fp8=True).identity() != TrainConfig().identity()


def test_a_rehearsal_asks_no_gpu_for_anything() -> None:
    assert not TrainConfig(**dict.fromkeys(NAMES, True)).rehearsed().kernels.named()


def liger(monkeypatch: pytest.MonkeyPatch, kinds: set[str], change: Callable[[Any], None]) -> None:
    """A package that stands where Liger would, and changes a model as told."""
    import sys

    package, inside, patch = (
        ModuleType("liger_kernel"),
        ModuleType("liger_kernel.transformers"),
        ModuleType("liger_kernel.transformers.monkey_patch"),
    )
    vars(inside)["_apply_liger_kernel_to_instance"] = lambda model, **options: change(model)
    vars(patch)["MODEL_TYPE_TO_APPLY_LIGER_FN"] = dict.fromkeys(kinds)
    for module in (package, inside, patch):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_kernels_that_change_the_loss_are_refused_and_such_as_do_not_are_taken(
    tiny: Path, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(Checkpoint(str(tiny)), "float32")

    def stays(change: Callable[[], None]) -> bool:
        return probe.stays(model, encoded, change)

    seen: list[str] = []
    liger(monkeypatch, {"llama"}, lambda given: seen.append("applied"))
    gpu_kernels.put_liger_in(model, stays)
    assert seen == ["applied"]

    def wrong(given: Any) -> None:
        given.model.norm.variance_epsilon = 1.0

    liger(monkeypatch, {"llama"}, wrong)
    with pytest.raises(UserError, match="the loss or its gradient is another one"):
        gpu_kernels.put_liger_in(model, stays)
    liger(monkeypatch, {"gemma"}, wrong)
    with pytest.raises(UserError, match="no kernels for a base of type llama"):
        gpu_kernels.put_liger_in(model, stays)


def test_layers_of_the_base_are_multiplied_in_fp8_and_neither_head_nor_adapters() -> None:
    linear = torch.nn.Linear(32, 64)
    assert gpu_kernels.takes_fp8(linear, "base_model.model.model.layers.0.mlp.up_proj.base_layer")
    assert gpu_kernels.takes_fp8(linear, "model.layers.11.self_attn.q_proj")
    for name in ("lm_head", "model.layers.0.mlp.up_proj.lora_A.default", "model.norm"):
        assert not gpu_kernels.takes_fp8(linear, name)
    assert not gpu_kernels.takes_fp8(torch.nn.Linear(30, 64), "model.layers.0.mlp.up_proj")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler on a CPU")
def test_compiled_parts_give_the_loss_of_the_model_as_it_is(
    tiny: Path, encoded: list[Encoded]
) -> None:
    model = load_model(Checkpoint(str(tiny)), "float32")
    parts: list[int] = []
    assert probe.stays(model, encoded, lambda: parts.append(gpu_kernels.compile_parts(model)))
    assert parts == [3 * model.config.num_hidden_layers]
