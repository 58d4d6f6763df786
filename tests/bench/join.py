"""What tests/bench/test_join.py measures in a process of its own: prints one JSON line.

Usage: python -m tests.bench.join FILE TIMES ROWS
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

SEED = 7
LIKENESS = Decimal("0.7")


def instructions(file: Path) -> list[str]:
    with gzip.open(file) as stream:
        return [row["instruction"] for row in json.load(stream)]


def grown(texts: list[str], rows: int) -> list[str]:
    """The real instructions, and as many more as are wanted: the first half of the words of one real instruction, drawn at
    random, and the second half of the words of another."""
    chance = random.Random(SEED)
    halves = [
        (words[: (len(words) + 1) // 2], words[(len(words) + 1) // 2 :])
        for words in map(str.split, texts)
    ]
    more = (
        " ".join([*chance.choice(halves)[0], *chance.choice(halves)[1]])
        for _ in range(rows - len(texts))
    )
    return [*texts[:rows], *more]


def peak() -> int:
    """The most memory that this process ever held, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 // 10**6


def main(file: Path, times: int, rows: int) -> dict[str, Any]:
    """The greedy pass so many times, after a first call of a few rows that compiles the kernels or finds them compiled."""
    texts = grown(instructions(file), rows)
    before, began = peak(), time.perf_counter()
    import numpy as np

    from alpaca_pipe.similarity.join import greedy

    imported = time.perf_counter() - began
    greedy(["a b c d e f g", "a b c d e f g", "h i j k l m n"], LIKENESS, "rouge")
    ready = time.perf_counter() - began - imported
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        met = greedy(texts, LIKENESS, "rouge")
        seconds.append(time.perf_counter() - began)
    return {
        "rows": len(texts),
        "imports": imported,
        "ready": ready,
        "seconds": statistics.median(seconds),
        "dropped": int(np.sum(met.nearest >= 0)),
        "peak": peak(),
        "before": before,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
