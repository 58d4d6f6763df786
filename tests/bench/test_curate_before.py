"""Default curation as a command, A B A B beside another build: processor seconds of all its processes, wall seconds, and the
most memory that they held together. How the time grows with the rows, and what that makes of 52 million.

ALPACA_PIPE_BEFORE names the python of the other build's environment; without it this build is measured alone.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import pytest

from tests.bench.join import grown
from tests.bench.table import publish

pytestmark = pytest.mark.slow
ROUNDS, MANY = 3, 250_000
SIZES, FAR = (13_000, 52_002, 250_000), 52_000_000


class Cost(NamedTuple):
    cpu: float  # seconds, user and system, of all processes
    wall: float
    megabytes: float  # of all processes, what they share counted once


def curated(python: str, file: Path, folder: Path) -> Cost:
    """One run, in a workspace of its own."""
    command = [python, "-m", "alpaca_pipe", "curate", str(file), "-o", str(folder / "out")]
    began, peak = time.perf_counter(), 0
    process = psutil.Popen(
        [*command, "--runs", str(folder / "runs")],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        with contextlib.suppress(psutil.Error):
            family = [process, *process.children(recursive=True)]
            peak = max(peak, sum(one.memory_full_info().pss for one in family))
        time.sleep(0.25)
    assert status == 0, command
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - began, peak / 1e6)


def rows_file(data: Path, folder: Path, rows: int) -> Path:
    """The released rows, and as many more as are wanted with the halves of two instructions each."""
    released = json.loads(gzip.decompress((data / "alpaca_data.json.gz").read_bytes()))
    file = folder / f"rows{rows}.jsonl"
    with file.open("w") as out:
        for place, text in enumerate(grown([row["instruction"] for row in released], rows)):
            row = released[place % len(released)] | {"instruction": text}
            out.write(json.dumps(row) + "\n")
    return file


@pytest.mark.parametrize(("rows", "rounds"), [(52_002, ROUNDS), (MANY, 1)])
def test_beside_the_build_before(data: Path, tmp_path: Path, rows: int, rounds: int) -> None:
    pythons = {"now": sys.executable}
    if before := os.environ.get("ALPACA_PIPE_BEFORE"):
        pythons = {"before": before} | pythons
    file = rows_file(data, tmp_path, rows)
    few = rows_file(data, tmp_path, 25_000)  # compiles what is compiled once a machine
    taken: dict[str, list[Cost]] = {name: [] for name in pythons}
    for number in range(-1, rounds):
        for name, python in pythons.items():
            folder = tmp_path / f"{name}{number}"
            folder.mkdir()
            cost = curated(python, few if number < 0 else file, folder)
            if number >= 0:
                taken[name].append(cost)
    middle = {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in taken.items()}
    publish(
        f"curate-before-{rows}",
        [
            {
                "build": name,
                "rows": rows,
                "CPU, s": f"{cost.cpu:.1f}",
                "wall, s": f"{cost.wall:.1f}",
                "MB": f"{cost.megabytes:.0f}",
                "CPU of before": f"{cost.cpu / middle['before'].cpu:.2f}" if before else "",
                "runs": ", ".join(f"{one.cpu:.1f}" for one in taken[name]),
            }
            for name, cost in middle.items()
        ],
    )


def test_how_the_time_grows(data: Path, tmp_path: Path) -> None:
    """CPU seconds as a + b n^c through three sizes: c from the two larger ones, beyond what starting takes. The error is what
    the same line, drawn through the two smaller ones, misses the largest by."""
    taken = []
    for rows in SIZES:
        (folder := tmp_path / str(rows)).mkdir()
        taken.append(curated(sys.executable, rows_file(data, tmp_path, rows), folder).cpu)
    power, missed = grows(SIZES, taken)
    far = taken[-1] * (FAR / SIZES[-1]) ** power
    table = [{"rows": rows, "CPU, s": f"{cpu:.1f}"} for rows, cpu in zip(SIZES, taken, strict=True)]
    error = f"power {power:.2f}; x {missed ** (math.log(FAR / SIZES[-1]) / math.log(SIZES[-1] / SIZES[1])):.1f} either way"
    publish("curate-grows", [*table, {"rows": FAR, "CPU, s": f"{far:,.0f}", "error": error}])


def grows(sizes: tuple[int, ...], seconds: list[float]) -> tuple[float, float]:
    """(the power of the size that the seconds grow with, from the two largest; by how many times the power before misses
    the last one)."""
    steps = list(zip(sizes, seconds, strict=True))
    early, late = (
        math.log(after[1] / before[1]) / math.log(after[0] / before[0])
        for before, after in zip(steps[-3:], steps[-2:], strict=False)
    )
    told = steps[-2][1] * (sizes[-1] / sizes[-2]) ** early
    return late, max(told / seconds[-1], seconds[-1] / told)
