"""How long a user waits before anything happens, as ratios: A B A B beside what importing typer, rich and pydantic takes.

ALPACA_PIPE_BEFORE names the python of another build's environment, which is then measured in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.table import ROOT, publish
from tests.road.drive import Road

REFERENCE = "import typer, rich, pydantic"
ROUNDS = 11


def one(command: list[str], folder: Path) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, peak MiB) of one call."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def test_startup(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(ROOT / "alpaca_pipe")], check=True
    )
    pythons = {"now": sys.executable}
    if before := os.environ.get("ALPACA_PIPE_BEFORE"):
        pythons = {"before": before} | pythons
    commands = {("now", "the imports alone"): [sys.executable, "-c", REFERENCE]}
    for name, python in pythons.items():
        for words in ("--help", "plan alpaca-52k"):
            commands[name, words] = [python, "-m", "alpaca_pipe", *words.split()]
    taken: dict[tuple[str, str], list[tuple[float, float, float]]] = {key: [] for key in commands}
    for _ in range(ROUNDS):
        for key, command in commands.items():
            taken[key].append(one(command, tmp_path))
    middle = {
        key: [statistics.median(column) for column in zip(*runs, strict=True)]
        for key, runs in taken.items()
    }
    reference = middle["now", "the imports alone"]
    publish(
        "startup",
        [
            {
                "build": build,
                "command": words,
                "s": f"{figures[0]:.3f}",
                "ratio, wall": f"{figures[0] / reference[0]:.2f}",
                "ratio, CPU": f"{figures[1] / reference[1]:.2f}",
                "peak MiB": f"{figures[2]:.1f}",
            }
            for (build, words), figures in middle.items()
        ],
    )
    assert middle["now", "--help"][1] < 1.7 * reference[1]


def test_a_second_run_that_does_nothing(tmp_path: Path) -> None:
    road = Road.make(tmp_path)
    road.run()
    wall, _, _ = one([sys.executable, "-m", "alpaca_pipe", "run", "road.yaml"], road.home)
    publish("startup-second-run", [{"command": "run, all up to date", "s": f"{wall:.3f}"}])
