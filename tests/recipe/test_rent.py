"""The engine on a rented machine: what its time costs is asked before, booked by stage, and survives a kill."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.machine import detect, lease, meter
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.meter import Meter, MeterTiming
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.runner import run
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate, Outcome, StageContext
from alpaca_pipe.recipe.workspace import Workspace
from tests.recipe import toy
from tests.recipe.toy import give
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def _reap(config: toy.Reap, bench: StageContext) -> Outcome:
    for phase in ("load", "train"):
        bench.phase(phase)
        toy.pause(0.05)  # by the clock of `hand`: no time passes
    return toy._reap(config, bench)


def _an_hour(config: Any, tables: Any, known: Any) -> Estimate:
    return Estimate(Range.about(60 if config.keep_even else 0.01, 2))


def _nothing(config: Any, tables: Any, known: Any) -> Estimate:
    return Estimate(Range.about(0.001, 2))


sow, reap, sell = toy.CATALOG.stages
CATALOG = Catalog(
    (
        replace(sow, estimate=_nothing),
        replace(reap, on_gpu=True, run=_reap, estimate=_an_hour),
        replace(sell, on_gpu=True, estimate=_nothing),
    ),
    {**toy.CATALOG.tables, "gpu": GpuTable, "budget": BudgetTable},
)


def go(recipe: Path, workspace: Path, *overrides: str, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=300)
    run(
        load_recipe(str(recipe), CATALOG, overrides),
        CATALOG,
        Workspace(workspace),
        console,
        **options,
    )
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def settled(workspace: Path, *classes: str) -> list[LedgerEntry]:
    with Journal.open(workspace / "ledger.sqlite", read_only=True) as journal:
        journal.check()
        return [
            entry
            for entry in journal.entries()
            if entry.kind == "settled" and entry.class_ in classes
        ]


@pytest.fixture(autouse=True)
def hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only where the toy stages wait, and the meter looks after each of their waits."""
    meters: list[Meter] = []
    now = [1000.0]

    def wait(seconds: float) -> None:
        now[0] += seconds
        for running in meters[-1:]:
            running.look()

    begin = Meter.start
    monkeypatch.setattr(Meter, "start", lambda running: (meters.append(running), begin(running)))
    monkeypatch.setattr(MeterTiming, "every", 3600.0)
    monkeypatch.setattr(MeterTiming, "with_grace", lambda grace: MeterTiming(3600, 600, grace))
    monkeypatch.setattr(meter, "_ticks", lambda: now[0])
    monkeypatch.setattr(toy, "pause", wait)


def test_each_stage_is_billed_with_its_phases(recipe: Path, counts: Path, tmp_path: Path) -> None:
    said = go(
        recipe,
        tmp_path / "runs",
        "gpu.name=H200",
        "gpu.per_hour=3600",
        "gpu.watts=700",
        "gpu.lease_start=run",
    )
    assert "1 x H200 at $3,600.00 an hour from this run's start (gpu.per_hour of the recipe" in said
    assert "found here: no GPU" in said or "H200" in str(detect.gpus())
    found = settled(tmp_path / "runs", "gpu")
    assert {entry.stage for entry in found} == {"sow", "reap", "sell"}
    phases = {phase for entry in found if entry.stage == "reap" for phase in entry.usage["phases"]}
    assert phases >= {"load", "train"}
    assert {
        phase for entry in found if entry.stage == "sow" for phase in entry.usage["phases"]
    } == {"idle"}
    cost, seconds = (
        sum(entry.nanodollars for entry in found),
        sum(entry.usage["seconds"] for entry in found),
    )
    assert cost == round(seconds * 1000) * 1_000_000  # a dollar a second, to the millisecond
    assert {entry.usage["basis"] for entry in settled(tmp_path / "runs", "energy")} == {"assumed"}
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals("toy")
        assert (totals.open, totals.pending, totals.attempts) == (0, 0, 0)


def test_a_stated_price_is_booked_whatever_stages_run(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    said = go(recipe, tmp_path / "runs", "gpu.per_hour=3600", until="sow")
    assert "this machine at $3,600.00 an hour from this run's start" in said
    found = settled(tmp_path / "runs", "gpu")
    assert [entry.stage for entry in found][-1] == "sow"
    # Four waits of a tenth of a second by the clock of `hand`, at a dollar a second.
    assert sum(entry.nanodollars for entry in found) == 4 * NANO // 10


def test_a_cap_on_the_machine_binds_where_no_step_uses_a_gpu(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    """A dollar a second, of four and a half: three seconds of work and one to stop in."""
    limits = ("gpu.grace=1", "gpu.per_hour=3600", "budget.gpu=4", "sow.count=45")
    with pytest.raises(UserError, match=r"the budget of \$4.00 \(budget.gpu\) is reached"):
        go(recipe, tmp_path / "runs", *limits, until="sow")
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals("toy").settled == 3_000_000_000
    log = (tmp_path / "runs" / "toy" / "log.jsonl").read_text()
    assert "money so far: $3.00 in this run; what it bought is kept" in log


def test_what_a_machine_is_not_billed_for_is_said(
    recipe: Path, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: ())
    said = go(recipe, tmp_path / "a", "gpu.name=H200", until="sow")
    assert "no H200 is found here, so this machine's time is counted at $0" in said
    assert "no rate is given" in go(recipe, tmp_path / "b", until="sow")
    waits = ("gpu.per_hour=3600", "gpu.lease_start=gpu")
    assert "counted at $0 until a step uses the GPU" in go(
        recipe, tmp_path / "c", *waits, until="sow"
    )
    here = detect.DetectedGpu("NVIDIA H200", "GPU-1", 700.0)
    monkeypatch.setattr(detect, "gpus", lambda: (here,))
    said = go(recipe, tmp_path / "d", until="sow")
    assert "no step of this run uses the GPU of this machine: its time is counted at $0" in said
    for place in "abcd":
        found = settled(tmp_path / place, "gpu", "machine")
        assert not any(entry.nanodollars for entry in found)
    assert "1 x H200 at $" in go(recipe, tmp_path / "e", "gpu.name=H200", until="sow")


def test_a_waiting_machine_is_not_billed_for_what_needs_no_gpu(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    go(recipe, tmp_path / "runs", "gpu.per_hour=3600", "gpu.lease_start=gpu", until="sow")
    assert not any(entry.nanodollars for entry in settled(tmp_path / "runs", "gpu", "machine"))
    assert [entry.stage for entry in settled(tmp_path / "runs", "machine")][-1] == "sow"


def test_a_lease_that_waits_is_billed_from_the_first_step_on_the_gpu(
    recipe: Path, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: ())
    waits = ("gpu.name=H200", "gpu.per_hour=3600", "gpu.lease_start=gpu")
    said = go(recipe, tmp_path / "runs", *waits)
    assert "an hour from the first step that uses it" in said
    assert {entry.stage for entry in settled(tmp_path / "runs", "gpu")} == {"reap", "sell"}
    own = [entry for entry in settled(tmp_path / "runs", "machine")]
    assert {entry.stage for entry in own} == {"sow"} and not any(one.nanodollars for one in own)
    monkeypatch.setattr(
        detect, "gpus", lambda: (detect.DetectedGpu("NVIDIA H200", "GPU-1", 700.0),)
    )
    go(recipe, tmp_path / "there", *waits)
    there = settled(tmp_path / "there", "gpu")
    assert {entry.stage for entry in there} == {"sow", "reap", "sell"}, "it is rented already"


def test_without_a_price_it_is_said_that_the_machine_counts_nothing(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    said = go(recipe, tmp_path / "runs")
    assert said.count("machine time is counted at $0: no rate is given (gpu.per_hour)") == 1
    assert "counted at $0" not in go(
        recipe, tmp_path / "other", "gpu.per_hour=0"
    )  # told so already


def test_a_step_that_is_expected_not_to_fit_is_refused_before_anything_runs(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError,
        match=r"reap, sell will take about \$3\.\d\d .* raise budget.gpu to .* one dollar buys",
    ):
        go(recipe, tmp_path / "runs", "gpu.per_hour=3", "budget.gpu=2.5")
    assert counts.read_text() == ""
    go(recipe, tmp_path / "runs", "gpu.per_hour=3", "budget.gpu=10")
    assert "sell\n" in counts.read_text()


def test_electricity_is_held_against_what_it_is_an_expense_of(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    """Dear electricity: of the machine's own cap it takes nothing, of the total it is most of what is expected."""
    terms = ["gpu.per_hour=3", "gpu.watts=1000", "gpu.per_kwh=300"]
    with pytest.raises(
        UserError, match=r"will take about \$[34]\d\d\.\d\d .* raise budget.total to"
    ):
        go(recipe, tmp_path / "runs", *terms, "budget.total=100")
    assert counts.read_text() == ""
    go(recipe, tmp_path / "runs", *terms, "budget.gpu=10")
    assert "sell\n" in counts.read_text()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    price=st.sampled_from([0.017, 0.9, 3.5, 36, 3600]),
    share=st.floats(0, 0.99),
    grace=st.sampled_from([1, 30, 120]),
    granularity=st.sampled_from([1, 60, 3600]),
    capped=st.sets(st.sampled_from(["gpu", "total", "workspace"]), min_size=1),
    per_kwh=st.sampled_from([0, 0.3, 3000]),
)
def test_a_cure_that_is_followed_to_the_cent_is_one(
    recipe: Path,
    counts: Path,
    tmp_path_factory: pytest.TempPathFactory,
    price: float,
    share: float,
    grace: int,
    granularity: int,
    capped: set[str],
    per_kwh: float,
) -> None:
    """Whatever is refused before it begins, goes to its end once each `raise X to $Y` is done."""
    runs = tmp_path_factory.mktemp("runs")
    caps = dict.fromkeys(sorted(capped), f"{price * share:.6f}")

    def attempt() -> None:
        if "workspace" in caps:
            (runs / "budget.yaml").write_text(f"total: {caps['workspace']}\n")
        own = [f"budget.{key}={cap}" for key, cap in caps.items() if key != "workspace"]
        terms = [f"gpu.per_hour={price}", f"gpu.grace={grace}", f"gpu.granularity={granularity}"]
        terms += [f"gpu.per_kwh={per_kwh}", "gpu.watts=1000"]
        go(recipe, runs, *terms, *own)

    try:
        attempt()
    except UserError as refused:
        cures = re.findall(r"raise (workspace )?budget\.(\w+)[^$]*? to \$([\d,.]+\d)", str(refused))
        assert cures, refused
        for everywhere, key, amount in cures:
            caps["workspace" if everywhere else key] = amount.replace(",", "")
        attempt()


def test_a_run_whose_money_ends_stores_its_work_and_goes_on_with_more(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    """A dollar a second: $4 are three seconds of work and one to stop in, of four and a half."""

    def paid(cap: int) -> str:
        return go(
            recipe,
            tmp_path / "runs",
            "gpu.grace=1",
            "gpu.per_hour=3600",
            f"budget.gpu={cap}",
            "reap.keep_even=false",
            "sow.count=45",
        )

    with pytest.raises(
        UserError, match=r"the budget of \$4.00 \(budget.gpu\) is reached"
    ) as stopped:
        paid(4)
    assert (
        "raise budget.gpu to $604.00 and run again, it continues where it stopped; one more dollar buys about 1 second"
        in str(stopped.value)
    )
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals("toy")
        assert (totals.open, totals.settled) == (0, 3_000_000_000)
    assert [row["outcome"] for row in read_jsonl(tmp_path / "runs" / "toy" / "history.jsonl")] == [
        "stopped"
    ]
    assert len([line for line in counts.read_text().splitlines() if ":" in line]) == 30
    paid(200)
    parts = [line for line in counts.read_text().splitlines() if ":" in line]
    assert sorted(parts) == sorted(set(parts)) and len(parts) == 45  # nothing was done twice


def test_the_minutes_of_a_killed_run_are_booked(recipe: Path, counts: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.recipe.toy",
            str(recipe),
            str(tmp_path / "runs"),
            "sow.count=300",
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TOY_TURNS": ""},
    )
    give(process, 4)
    until(lambda: "sow:3" in counts.read_text(), process)
    process.kill()
    process.communicate()
    assert not (tmp_path / "runs" / "toy" / "history.jsonl").exists()
    toy.run_toy(recipe, tmp_path / "runs")
    found = settled(tmp_path / "runs", "machine")
    (after,) = read_jsonl(tmp_path / "runs" / "toy" / "history.jsonl")
    dead = [entry for entry in found if entry.run != after["run"]]
    assert dead and dead[-1].note == lease.CUT_OFF
