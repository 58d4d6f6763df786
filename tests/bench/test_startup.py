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


PEAK = """
import atexit, re, sys
from pathlib import Path
told = lambda: print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
atexit.register(told)
sys.argv = ["alpaca-pipe", *sys.argv[1:]]
from alpaca_pipe.cli import main
main()
"""


def peak(python: str, words: str, folder: Path) -> float:
    """MiB. Asked of the process itself: what the system counts for a child begins with the size of its parent."""
    command = [python, "-c", PEAK, *words.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stderr.split()[-1]) / 1024


def one(command: list[str], folder: Path) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of one call."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


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
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in commands}
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
                "peak MiB": f"{peak(pythons[build], words, tmp_path):.1f}"
                if words in ("--help", "plan alpaca-52k")
                else "",
            }
            for (build, words), figures in middle.items()
        ],
    )
    assert middle["now", "--help"][1] < 1.7 * reference[1]


def test_a_second_run_that_does_nothing(tmp_path: Path) -> None:
    road = Road.make(tmp_path)
    road.run()
    wall, _ = one([sys.executable, "-m", "alpaca_pipe", "run", "road.yaml"], road.home)
    publish("startup-second-run", [{"command": "run, all up to date", "s": f"{wall:.3f}"}])
