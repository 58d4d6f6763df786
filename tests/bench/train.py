"""The trainer beside the build before, the reference's padded Trainer, TRL's packing and a bare loop.

python -m tests.bench.train [--before FOLDER] [--rows 256] [--rounds 2] [--methods lora,full] [--who ...] [--at-once 8]

Real rows of the 52K, SmolLM2-135M, each contender in a process of its own, in turn and `rounds` times over (A B A B).
Real tokens a CPU second and the peak memory of the process; ratios are to ours. FOLDER: a checkout of an earlier commit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.table import ROOT, publish
from tests.bench.train_one import rows_of

PEERS = ("before", "padded", "packed", "bare")


def once(who: str, method: str, at_once: int, rows: Path, before: Path | None) -> dict[str, Any]:
    """The figures of one process. who "before" is ours of another checkout."""
    tree = before if who == "before" else ROOT
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "bench" / "train_one.py"),
            "ours" if who == "before" else who,
            method,
            str(at_once),
            str(rows),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{who}, {method}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(
    method: str, names: Sequence[str], at_once: int, rows: int, rounds: int, before: Path | None
) -> list[dict[str, Any]]:
    """One line a contender: the median over the rounds, beside ours."""
    steps = max(2, rows // at_once // rounds)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    encoded = rows_of(at_once * steps)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps(encoded))
        for _ in range(rounds):
            for name in names:
                runs[name].append(once(name, method, at_once, file, before))
                print(f"  {method}, {at_once} rows, {name}: {_short(runs[name][-1])}", flush=True)
    speeds = {name: _median(found, "tokens_per_cpu_second") for name, found in runs.items()}
    peaks = {name: _median(found, "peak_gb") for name, found in runs.items()}
    ours = runs["ours"][0]["losses"]
    return [
        {
            "method": method,
            "rows at once": at_once,
            "who": name,
            "real tokens a CPU second": round(speeds[name], 1),
            "of ours": round(speeds[name] / speeds["ours"], 3),
            "peak GB": round(peaks[name], 2),
            "peak, of ours": round(peaks[name] / peaks["ours"], 3),
            "loss apart": _apart(ours, runs[name][0]["losses"]),
        }
        for name in names
    ]


def _median(found: Sequence[dict[str, Any]], what: str) -> float:
    return statistics.median(one[what] for one in found)


def _apart(ours: Sequence[float], other: Sequence[float]) -> str:
    """Of the first losses: later ones also carry the optimizers' rounding. TRL's packs are other batches."""
    return f"{abs(ours[0] - other[0]) / ours[0]:.1e}"


def _short(run: dict[str, Any]) -> str:
    return f"{run['tokens_per_cpu_second']:.1f} tokens a CPU second, {run['peak_gb']:.2f} GB"


def main(arguments: Sequence[str]) -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--before", type=Path)
    asked.add_argument("--rows", type=int, default=256)
    asked.add_argument("--rounds", type=int, default=2)
    asked.add_argument("--methods", default="lora,full")
    asked.add_argument("--who", default=",".join(("ours", *PEERS)))
    asked.add_argument("--at-once", default="8")
    told = asked.parse_args(arguments)
    names = [name for name in told.who.split(",") if name != "before" or told.before]
    rows = [
        line
        for at_once in told.at_once.split(",")
        for method in told.methods.split(",")
        for line in table(method, names, int(at_once), told.rows, told.rounds, told.before)
    ]
    publish("train", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
