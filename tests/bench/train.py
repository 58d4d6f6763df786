"""The trainer beside the build before, the reference's padded Trainer, TRL's packing and a bare loop.

python -m tests.bench.train [--before FOLDER] [--rows 256] [--rounds 2] [--methods lora,full] [--who ...] [--at-once 8]

Real rows of the 52K, SmolLM2-135M, each contender in a process of its own, in turn and `rounds` times over (A B A B).
Real tokens a CPU second and the peak memory of the process; ratios are to ours. FOLDER: a checkout of an earlier commit.
--at-once 8,32: ours with 32 rows at once, too, beside itself with 8, over the same rows. What was measured of the same code is
kept in runs/bench/train/, so a bench that was stopped goes on where it was; --anew measures all of it again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from alpaca_pipe.core.files import read_json, write_json
from tests.bench import train_one
from tests.bench.table import ROOT, publish

PEERS = ("before", "padded", "packed", "bare")
_SPEED = "tokens_per_cpu_second"


class Contender(NamedTuple):
    """who: "before" is ours of another checkout, `tree`."""

    who: str
    at_once: int
    tree: Path

    def name(self) -> str:
        return f"{self.who}, {self.at_once} rows at once"


def once(one: Contender, method: str, rows: Path, skipped: int) -> dict[str, Any]:
    """The figures of one process."""
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "bench" / "train_one.py"),
            "ours" if one.who == "before" else one.who,
            method,
            str(one.at_once),
            str(rows),
            str(skipped),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(one.tree)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{one.name()}, {method}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def kept(place: Path, anew: bool, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured before, if it was."""
    if place.is_file() and not anew:
        return read_json(place)
    found = measure()
    write_json(place, found)
    return found


def code(tree: Path) -> str:
    """Names what is measured: the source of the rooms that train, the contenders', and the threads."""
    digest = hashlib.sha256(os.environ.get("BENCH_THREADS", "").encode())
    rooms = [tree / "alpaca_pipe" / room for room in ("core", "weights", "models", "train")]
    files = sorted(file for room in rooms for file in room.rglob("*.py"))
    for file in [*files, Path(train_one.__file__)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def table(
    method: str, contenders: Sequence[Contender], rows: int, rounds: int, anew: bool
) -> list[dict[str, Any]]:
    """One line a contender: the median over the rounds, beside the first of them. The rows of the largest first step are not
    counted of any, so that all are measured on the same ones."""
    skipped = max(one.at_once for one in contenders)
    encoded = train_one.rows_of(skipped * max(2, rows // skipped // rounds))
    runs: dict[Contender, list[dict[str, Any]]] = {one: [] for one in contenders}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps(encoded))
        for turn in range(rounds):
            for one in contenders:
                name = f"{method}-{one.who}-{one.at_once}-{len(encoded)}-{skipped}-{turn}-{code(one.tree)}.json"
                measure = partial(once, one, method, file, skipped)
                found = kept(ROOT / "runs" / "bench" / "train" / name, anew, measure)
                runs[one].append(found)
                print(f"  {method}, {one.name()}: {_short(found)}", flush=True)
    ours = contenders[0]
    return [_line(method, one, runs[one], runs[ours], ours.at_once) for one in contenders]


def _line(
    method: str,
    one: Contender,
    found: list[dict[str, Any]],
    first: list[dict[str, Any]],
    at_once: int,
) -> dict[str, Any]:
    """Ratios are those of a round, the middle one of them."""
    peak = "peak_gb"
    return {
        "method": method,
        "rows at once": one.at_once,
        "who": one.who,
        "real tokens a CPU second": round(_median(found, _SPEED), 1),
        "of ours": round(_ratio(found, first, _SPEED), 3),
        "peak GB": round(_median(found, peak), 2),
        "peak, of ours": round(_ratio(found, first, peak), 3),
        "loss apart": ""
        if one.at_once != at_once  # the first step is of other rows
        else _apart(first[0]["losses"], found[0]["losses"]),
    }


def _ratio(found: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]], what: str) -> float:
    return statistics.median(a[what] / b[what] for a, b in zip(found, first, strict=True))


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
    asked.add_argument("--anew", action="store_true")
    told = asked.parse_args(arguments)
    names = [name for name in told.who.split(",") if name != "before" or told.before]
    first, *more = map(int, told.at_once.split(","))
    contenders = [
        *(Contender(name, first, told.before if name == "before" else ROOT) for name in names),
        *(Contender("ours", at_once, ROOT) for at_once in more),
    ]
    rows = [
        line
        for method in told.methods.split(",")
        for line in table(method, contenders, told.rows, told.rounds, told.anew)
    ]
    publish("train-at-once" if more else "train", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
