"""A benchmark's table: printed, and written to runs/bench/<name>.json with machine and versions, so that days compare."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_json

ROOT = Path(__file__).resolve().parents[2]
# What is measured with: whatever of it is installed.
_PACKAGES = (
    "alpaca-pipe",
    "openai",
    "aiohttp",
    "httpx2",
    "pydantic",
    "torch",
    "transformers",
    "peft",
    "numpy",
    "datasets",
    "xllamacpp",
)


def median_seconds(what: Callable[[], object], times: int = 5) -> float:
    """Median wall-clock of `times` calls after one that is not counted."""
    what()
    measured = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        measured.append(time.perf_counter() - began)
    return statistics.median(measured)


def publish(
    name: str, rows: Sequence[Mapping[str, Any]], peers: Mapping[str, str] | None = None
) -> None:
    """Prints the rows under each other and keeps them. A row says its own limit, where it has one (`limit`), and a peer's
    figure beside ours is a column of its own. peers: the versions of those that were measured with us."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    print(f"\n{name}")
    for line in cells:
        print(
            "  "
            + "  ".join(
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ).rstrip()
        )
    versions = _versions()
    write_json(
        ROOT / "runs" / "bench" / f"{name}.json",
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "machine": _machine(),
            "versions": versions,
            "peers": dict(peers or {}),
            "rows": [dict(row) for row in rows],
        },
    )


def _machine() -> dict[str, Any]:
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        if hasattr(os, "sysconf")
        else None
    )
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory GiB": memory and round(memory, 1),
        "system": platform.platform(terse=True),
        "busy": os.getloadavg()[0],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""
    )
    return named or platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Of the checkout, marked where files differ from it; empty outside of one."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
