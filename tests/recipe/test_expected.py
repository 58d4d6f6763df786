"""What was expected is kept beside what was made, the rent of the machine included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alpaca_pipe.core.files import read_json
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.recipe.estimates import expected, rented, row_of, with_rent
from alpaca_pipe.recipe.plan import steps_of
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate
from alpaca_pipe.recipe.workspace import Workspace
from tests.recipe.toy import CATALOG, run_toy

ON_GPU = Catalog(
    tuple(replace(stage, on_gpu=stage.kind == "reap") for stage in CATALOG.stages),
    {**CATALOG.tables, "gpu": GpuTable},
)


def recipe(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "toy.yaml"
    file.write_text(f"sow: {{}}\nreap: {{}}\nsell: {{}}\n{text}")
    return file


def test_the_whole_estimate_is_sealed_with_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_COUNTS", str(tmp_path / "counts"))
    run = run_toy(recipe(tmp_path, ""), tmp_path / "runs")
    for done in run.steps.values():
        assert read_json(done.folder / "done.json")["planned"] == {
            "minutes": [0.05, 0.1, 0.2],
            "says": "",
            "rests_on": "",
            "requests": [0, 0, 0],
            "tokens_in": [0, 0, 0],
            "tokens_out": [0, 0, 0],
            "api": [0, 0, 0],
            "gpu": [0, 0, 0],
            "rows": [0, 0, 0],
        }


def test_all_steps_of_a_run_are_billed_at_a_stated_price(tmp_path: Path) -> None:
    loaded = load_recipe(str(recipe(tmp_path, "gpu: {name: H200, per_hour: 6}\n")), ON_GPU)
    found = expected(
        steps_of(loaded, ON_GPU, Workspace(tmp_path / "runs")), loaded, Workspace(tmp_path / "runs")
    )
    assert [one.gpu.p50 for one in found.values()] == [pytest.approx(0.1 * 6 / 60 * NANO)] * 3
    loaded = load_recipe(
        str(recipe(tmp_path, "gpu: {name: H200, per_hour: 6}\n")),
        Catalog(CATALOG.stages, ON_GPU.tables),
    )
    found = expected(
        steps_of(loaded, CATALOG, Workspace(tmp_path / "runs")),
        loaded,
        Workspace(tmp_path / "runs"),
    )
    assert [one.gpu.p50 for one in found.values()] == [pytest.approx(0.1 * 6 / 60 * NANO)] * 3


def billed(steps: str, **gpu: Any) -> dict[str, int]:
    """Nano-dollars an hour by stage; a step in capitals works on the GPU."""
    stages = [
        SimpleNamespace(stage=SimpleNamespace(kind=kind), on_gpu=kind.isupper())
        for kind in steps.split()
    ]
    tables = {"gpu": GpuTable.model_validate({"per_hour": 1, **gpu})} if gpu else {}
    found = rented(stages, SimpleNamespace(tables=tables))  # type: ignore[arg-type]
    return {kind: machine.per_hour for kind, machine in found.items()}


def test_a_machine_that_is_rented_already_is_billed_for_anything() -> None:
    assert billed("sow reap", lease_start="boot") == {"sow": NANO, "reap": NANO}
    assert billed("sow reap", lease_start="run") == {"sow": NANO, "reap": NANO}
    assert billed("sow reap") == {} and billed("sow reap", lease_start="gpu") == {}
    assert billed("sow reap", per_hour=None, name="H100", provider="runpod") == {}  # not found here


def test_a_lease_that_waits_for_the_gpu_begins_with_the_first_step_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = "sow reap TRAIN sell"
    monkeypatch.setattr(detect, "gpus", lambda: ())
    assert billed(steps, lease_start="run", name="H200").keys() == {"sow", "reap", "TRAIN", "sell"}
    assert billed(steps, lease_start="gpu", name="H200").keys() == {"TRAIN", "sell"}
    assert billed("sow reap", lease_start="gpu", name="H200") == {}
    here = detect.DetectedGpu("NVIDIA H200", "GPU-1")
    monkeypatch.setattr(detect, "gpus", lambda: (here,))
    assert billed(steps, lease_start="gpu", name="H200").keys() == {"sow", "reap", "TRAIN", "sell"}
    assert billed(steps, lease_start="gpu", name="H100").keys() == {"TRAIN", "sell"}


def test_what_a_stage_says_of_its_machine_stays() -> None:
    said = Estimate(Range.about(10, 2), gpu=Range.exactly(5))
    machine = machine_of(
        {"gpu": GpuTable.model_validate({"name": "H200", "per_hour": 6, "count": 8})}
    )
    assert machine.per_hour == 48 * NANO
    assert with_rent(said, machine) == said and with_rent(said, None) == said
    assert row_of(with_rent(Estimate(Range(1, 2, 4)), machine))["gpu"] == [
        0.8 * NANO,
        1.6 * NANO,
        3.2 * NANO,
    ]


def test_a_gpu_without_a_price_is_planned_at_nothing_and_says_so() -> None:
    machine = machine_of({"gpu": GpuTable(name="H2O")})  # type: ignore[arg-type]
    assert (machine.gpu, machine.per_hour) == (
        None,
        0,
    ) and "no rate is known for the GPU 'H2O'" in machine.says
