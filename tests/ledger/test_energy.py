"""kWh and CO2: measured by a counter (a real library that answers as NVML does), or assumed and said so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.machine import energy, lease
from alpaca_pipe.ledger.machine.config import LeaseTerms
from alpaca_pipe.ledger.statements.card_facts import card_facts
from alpaca_pipe.ledger.statements.sums import StatementLine
from tests.ledger.test_gpu import START, beat, ledger, of, slices, sums

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "gpu_hours, mwh, tonnes",
    [
        (809_472, 356, 137),
        (1_082_880, 475, 183),
        (82_432, 36, 14),
        (135_168, 59, 23),
        (530_432, 233, 90),
        (1_022_362, 449, 173),
    ],
)
def test_llamas_table_15(gpu_hours: int, mwh: int, tonnes: int) -> None:
    kwh = energy.energy_kwh(gpu_hours, 400, energy.LLAMA_PUE.value)
    assert abs(kwh / 1000 - mwh) < 1.5
    assert round(energy.carbon_kg(kwh, energy.US_GRID.value) / 1000) == tonnes


def test_stanfords_fine_tune() -> None:
    found = energy.assumed(24, 400, pue=1.1, kg_per_kwh=0.385)
    assert (found.kwh, round(found.kg, 2), found.basis) == (pytest.approx(10.56), 4.07, "assumed")


def test_each_figure_of_the_world_is_dated_and_has_a_source() -> None:
    for figure in (energy.PUE, energy.LLAMA_PUE, energy.GRID, energy.US_GRID, energy.UTILISATION):
        assert figure.source and figure.year >= 2022 and figure.checked


def test_without_a_counter_the_power_limit_is_assumed_for_the_time_at_work() -> None:
    db = ledger()
    mine = of(LeaseTerms("gpu", "1 x A100-80", per_hour=1, watts=400, pue=1.1, kg_per_kwh=0.385))
    lease.reserve(db, mine, Caps(), "train", START + 86_400_000, START)
    beat(db, mine, START, "idle", lease=mine)
    beat(db, mine, START + 3_600_000)
    beat(db, mine, START + 3 * 3_600_000)
    lease.close(db, mine)
    (row,) = slices(db, "energy")
    assert (row["basis"], row["kwh"], row["kg_co2e"]) == ("assumed", 0.88, 0.3388)
    (note,) = db.execute("SELECT note FROM entries WHERE class = 'energy'").fetchone()
    assert note == "400 W assumed, PUE 1.1, 0.385 kg CO2e per kWh"
    db.close()


def test_counters_are_read_from_the_last_reading_of_the_rental_and_each_gpu_counts_once() -> None:
    db = ledger()
    terms = LeaseTerms("gpu", "2 x H200", watts=1400, pue=1.0, kg_per_kwh=0.5, per_kwh=300_000_000)
    one, two = of(terms, "monday", "lease-shared"), of(terms, "tuesday", "lease-shared")
    for mine in (one, two):  # two processes that look at the same counters
        lease.reserve(db, mine, Caps(), "train", START + 3_600_000, START)
        beat(db, mine, START, lease=mine, counters={"GPU-0": 7_000_000, "GPU-1": 1_000_000})
    beat(db, one, START + 1_000_000, counters={"GPU-0": 2_527_000_000, "GPU-1": 1_081_000_000})
    lease.close(db, one)
    beat(
        db, two, START + 2_000_000, counters={"GPU-0": 3_600_000, "GPU-1": 1_081_000_000}
    )  # one driver began anew
    lease.close(db, two)
    rows = slices(db, "energy")
    assert [row["kwh"] for row in rows] == [1.0, 0.001]
    assert {row["basis"] for row in rows} == {"measured"}
    assert sums(db) == (300_000_000 + 300_000, 0, 0)
    db.close()


SEES = """
import json, sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.machine.config import GpuTable, terms
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.machine.meter import Meter
found = terms(GpuTable(), date(2026, 11, 21), on_gpu=True)
with Journal.open(Path(sys.argv[1])) as journal:
    meter = Meter(journal, found, Caps(), recipe="alpaca", run="monday", stage="train", stop=print)
    meter.start()
    meter.begin("train")
    meter.close()
    rows = [(e.class_, e.usage) for e in journal.entries() if e.kind == "settled"]
print(json.dumps({"gpus": [(g.name, g.uuid, g.watts) for g in detect.gpus()], "rows": rows, "name": found.name,
                  "class": found.class_, "per_hour": found.per_hour, "watts": found.watts, "says": found.says}))
"""


@pytest.mark.skipif(
    shutil.which("gcc") is None or find_spec("pynvml") is None, reason="needs gcc and nvidia-ml-py"
)
def test_nvml_names_the_gpus_and_measures_what_they_draw(path: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", HERE / "nvml_stub.c"],
        check=True,
    )
    answer = subprocess.run(
        [sys.executable, "-c", SEES, path],
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    seen = json.loads(answer.stdout)
    assert seen["gpus"] == [["NVIDIA H200", "GPU-0", 650.0], ["NVIDIA H200", "GPU-1", 650.0]]
    assert (seen["name"], seen["class"]) == ("2 x H200", "gpu")
    assert seen["per_hour"] > 2_000_000_000 and "the middle of the book's prices" in seen["says"]
    measured = [usage for class_, usage in seen["rows"] if class_ == "energy"]
    assert measured and all(usage["basis"] == "measured" for usage in measured)
    assert {uuid for usage in measured for uuid in usage["counters"]} == {
        "GPU-0"
    }  # the other one does not count
    readings = [usage["counters"]["GPU-0"] for usage in measured]
    assert readings == sorted(readings)
    drawn = sum(usage["kwh"] for usage in measured) / measured[0]["pue"] * 3.6e6
    assert drawn == pytest.approx(
        (readings[-1] - 5_000_000) / 1000, rel=1e-4
    )  # joules since the first reading


def test_a_models_card_says_what_it_drew_and_how_that_is_known() -> None:
    total = StatementLine(settled=1_230_000_000, kwh=10.56, kwh_measured=4.0, kg_co2e=4.07)
    assert dict(card_facts(total)) == {
        "cost": "$1.23",
        "energy": "10.6 kWh (4 measured by the GPUs' counters, 6.56 assumed from the power limit), 4.07 kg CO2e",
    }
    assert [name for name, _ in card_facts(StatementLine(settled=5))] == ["cost"]
