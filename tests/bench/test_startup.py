"""How long a user waits before anything happens; limits from the road's issue: 0.5 s, and 3 s for a second run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.table import median_seconds, publish
from tests.road.drive import Road


def test_startup(tmp_path: Path) -> None:
    def call(*arguments: str) -> float:
        command = [sys.executable, "-m", "alpaca_pipe", *arguments]
        return median_seconds(
            lambda: subprocess.run(command, cwd=road.home, check=True, capture_output=True)
        )

    road = Road.make(tmp_path)
    road.run()
    rows = [
        ("--help", call("--help"), 0.5),
        ("plan quickstart", call("plan", "quickstart"), 0.5),
        ("plan alpaca-52k", call("plan", "alpaca-52k"), 0.5),
        ("run, all up to date", call("run", "road.yaml"), 3.0),
    ]
    publish(
        "startup",
        [
            {"command": name, "median s": f"{seconds:.3f}", "limit s": limit}
            for name, seconds, limit in rows
        ],
    )
