"""Ten real quickstarts, each planned and then run: does P10 to P90 hold what came? `make bench-forecast`.

Each is planned twice: as in a new workspace, on priors alone, and with what the runs before it have taught. Limit, from the
issue: 8 of 10 inside. A band may hold by being vain, so its width (P90/P10) stands beside it. Requests, tokens and rows are
the model's; minutes are this machine's too, and mean nothing where it does other work. About 25 quiet minutes until
generate, an hour until export. `python -m tests.bench.bands --runs 3` for the first three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from alpaca_pipe.core.files import read_json
from alpaca_pipe.weights.gguf import open_gguf
from tests.bench.table import publish

COUNTS = (20, 40, 30, 60, 25, 80, 35, 70, 50, 55)
SEEDS = 301  # and on: nothing was tuned on them, as the swing of a round was on 201 to 210
FIGURES = {
    "requests": "requests",
    "tokens_in": "tokens_in",
    "tokens_out": "tokens_out",
    "rows": "accepted",
}  # in the summary
RESTS_ON = ("priors", "runs before")
WANTED = 0.8


@dataclass(frozen=True)
class Band:
    """One forecast of one figure of one run, and what came."""

    seed: int
    count: int
    figure: str
    rests_on: str
    planned: tuple[float, float, float]  # P10, P50, P90
    actual: float

    @property
    def inside(self) -> bool:
        return self.planned[0] <= self.actual <= self.planned[2]

    @property
    def width(self) -> float:
        return self.planned[2] / self.planned[0] if self.planned[0] else float("inf")


def run(workspace: Path, seed: int, count: int, until: str) -> list[Band]:
    """Plans and runs one quickstart by the command line. The workspace holds the runs before it; none of their replies
    answers this one."""
    overrides = [f"seed={seed}", f"generate.count={count}"]
    planned = _json(
        "plan", "quickstart", *overrides, "--json", "--runs", str(workspace / "nothing here")
    )
    estimates = {step["stage"]: step["estimate"] for step in planned["steps"]}
    _call("run", "quickstart", *overrides, "--until", until, "--runs", str(workspace))
    bands = []
    for stage, name in read_json(workspace / "quickstart" / "lock.json")["steps"].items():
        done = read_json(workspace / "store" / name / "done.json")
        took = {"minutes": done["seconds"] / 60}
        if stage == "generate":
            if done["summary"]["from_store"]:
                raise RuntimeError("a reply of an earlier run was used: the runs are not apart")
            took |= {figure: done["summary"][key] for figure, key in FIGURES.items()}
        for rests_on, estimate in zip(RESTS_ON, (estimates[stage], done["planned"]), strict=True):
            bands += [
                Band(
                    seed,
                    count,
                    f"{stage} {figure.replace('_', ' ')}",
                    rests_on,
                    tuple(estimate[figure]),
                    actual,
                )
                for figure, actual in took.items()
            ]
    return bands


def each(bands: Sequence[Band]) -> list[dict[str, Any]]:
    """A row for each figure of each run."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for band in bands:
        row = rows.setdefault(
            (band.seed, band.figure),
            {
                "seed": band.seed,
                "count": band.count,
                "figure": band.figure,
                "was": _spelled(band.actual),
            },
        )
        row |= {
            f"P10 - P50 - P90 on {band.rests_on}": " - ".join(map(_spelled, band.planned)),
            f"on {band.rests_on}": "in" if band.inside else "OUT",
        }
    return list(rows.values())


def in_all(bands: Sequence[Band]) -> list[dict[str, Any]]:
    """A row for each figure and each ground: how many were inside, how wide the band was, where its middle lay."""
    rows = []
    for key in dict.fromkeys((band.figure, band.rests_on) for band in bands):
        some = [band for band in bands if (band.figure, band.rests_on) == key]
        inside = sum(band.inside for band in some)
        rows.append(
            {
                "figure": key[0],
                "rests on": key[1],
                "inside": f"{inside} of {len(some)}",
                "limit": "8 of 10",
                "held": "yes" if inside >= WANTED * len(some) else "NO",
                "P90/P10, median": f"{median(band.width for band in some):.2f}",
                "was/P50, median": f"{median(band.actual / band.planned[1] for band in some):.2f}",
            }
        )
    return rows


def _spelled(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _json(*arguments: str) -> Mapping[str, Any]:
    said: Mapping[str, Any] = json.loads(_call(*arguments))
    return said


def _call(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alpaca_pipe", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"alpaca-pipe {' '.join(arguments)} ended with exit {done.returncode}: {done.stderr[-2000:]}"
        )
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=int, default=len(COUNTS), choices=range(1, len(COUNTS) + 1), metavar="N"
    )
    parser.add_argument(
        "--until", default="generate", choices=("generate", "curate", "train", "evaluate", "export")
    )
    parser.add_argument(
        "--seeds-from",
        type=int,
        default=SEEDS,
        help="the first seed; each run has one of its own",
        metavar="SEED",
    )
    parser.add_argument(
        "--keep", type=Path, help="the workspace of the runs, to look into them", metavar="FOLDER"
    )
    given = parser.parse_args()
    open_gguf("smollm2-135m-instruct")  # one sentence where it was not fetched
    bands: list[Band] = []
    with TemporaryDirectory() as folder:
        for seed, count in enumerate(COUNTS[: given.runs], given.seeds_from):
            bands += run(given.keep or Path(folder), seed, count, given.until)
            publish("forecast-runs", each(bands))  # as far as they are: an hour is long
    publish("forecast", in_all(bands))


if __name__ == "__main__":
    main()
