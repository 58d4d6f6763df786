"""A benchmark's table: printed, and written to runs/bench/<name>.json with machine and versions, so that days compare."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_json

ROOT = Path(__file__).resolve().parents[2]


def median_seconds(what: Callable[[], object], times: int = 5) -> float:
    """Median wall-clock of `times` calls after one that is not counted."""
    what()
    measured = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        measured.append(time.perf_counter() - began)
    return statistics.median(measured)


def publish(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the rows under each other and keeps them."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    print(f"\n{name}")
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    write_json(ROOT / "runs" / "bench" / f"{name}.json", {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
        "cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "rows": [dict(row) for row in rows]})
