"""Beyond one core's patience: MinHash beside the exact join, rows by Ray beside rows by one machine, and what memory grows with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.bench.join import instructions
from tests.bench.table import ROOT, publish

pytestmark = pytest.mark.slow
ROWS = 250_000


def test_minhash_beside_the_exact_join(data: Path) -> None:
    """recall: of the rows that the exact pass drops, those that MinHash drops too. It drops no row wrongly: each is verified."""
    pytest.importorskip("rensa")
    import numpy as np

    from alpaca_pipe.similarity import join, minhash

    texts, table = instructions(data / "alpaca_data.json.gz"), []
    for rows, likeness in ((13_000, "0.7"), (13_000, "0.6"), (26_000, "0.6"), (13_000, "0.5")):
        began = time.perf_counter()
        exact = set(
            np.flatnonzero(
                join.greedy(texts[:rows], Decimal(likeness), "rouge").nearest >= 0
            ).tolist()
        )
        between = time.perf_counter()
        found = {place for place, _, _ in minhash.greedy(texts[:rows], Decimal(likeness), "rouge")}
        table.append(
            {
                "rows": rows,
                "likeness": likeness,
                "bands": minhash.bands(Decimal(likeness)),
                "dropped, exact": len(exact),
                "by MinHash": len(found),
                "recall": f"{len(exact & found) / len(exact):.4f}" if exact else "none to find",
                "exact, s": f"{between - began:.2f}",
                "MinHash, s": f"{time.perf_counter() - between:.1f}",
            }
        )
        assert len(exact & found) >= 0.98 * len(exact)
    publish("curate-minhash", table, {"rensa": version("rensa")})


def on_ray(file: Path, rows: int, victim: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.curate.on_ray", str(file), str(rows), victim],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_ray_gives_the_same_rows(data: Path) -> None:
    pytest.importorskip("ray")
    table = []
    for victim, what in (
        ("none", "nothing killed"),
        ("process", "a worker process killed half-way"),
        ("machine", "a whole worker node killed half-way"),
    ):
        found = on_ray(data / "alpaca_data.json.gz", ROWS, victim)
        table.append(
            {
                "rows": found["ray"]["rows"],
                "what": what,
                "same as local": found["same"],
                "kept": found["ray"]["kept"],
                "groups": found["ray"]["groups"],
                "local, s": found["local"]["seconds"],
                "Ray, s": found["ray"]["seconds"],
            }
        )
        assert (
            found["same"]
            and found["local"]["rows"] == ROWS
            and (victim == "none" or found["killed"])
        )
    publish("curate-ray", table, {"ray": version("ray")})


MEASURE = """
import json, re, sys
from decimal import Decimal
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.filter_config import Filters
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules
rows, size = int(sys.argv[1]), int(sys.argv[2])
class Rows:
    def __iter__(self):
        for place in range(rows):
            yield Example.of(f"Tell me all about number {place} and {place * 7} now.", "", f"{place} is a number. " * size, Origin("generated", "r1-0"))
kept = sum(not one.rejected for one in judged(Rows(), CurationRules(Filters.model_validate("stanford").active(), True, Decimal(1), "rouge")))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([kept, int(peak.split()[1]) // 1024]))
"""


def test_memory_grows_with_the_index_and_not_with_the_rows() -> None:
    """Rows of 100 bytes and of 20,000: the same instructions, the same memory."""
    table = []
    for size in (4, 1000):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "20000", str(size)],
            text=True,
            capture_output=True,
            check=True,
        )
        kept, peak = json.loads(done.stdout)
        table.append(
            {"rows": kept, "MB of outputs": round(kept * size * 20 / 1e6), "peak MB": peak}
        )
    publish("curate-memory", table)
    assert table[1]["peak MB"] < table[0]["peak MB"] + 50
