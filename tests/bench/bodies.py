"""What a reply that is far too long costs: `python -m tests.bench.bodies [OTHER_CHECKOUT]`.

A reply of 50 MB, an endless one, and 2,000 honest requests, each asked by a process of its own from this checkout and, turn by
turn, from another one (the build before). Prints peak memory, seconds until it was given up, and honest requests a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.attack.hostile import Asked, Script, chat, head, hostile, whole

_HONEST, _AT_ONCE, _TURNS = 2000, 64, 3
_PATIENCE = 60.0  # seconds after which a build that still reads is stopped


def asked(checkout: Path, url: str, count: int, at_once: int) -> dict[str, Any]:
    """Peak MiB and seconds of one process that asks."""
    with TemporaryDirectory() as folder:
        questions = Path(folder) / "questions.json"
        questions.write_text(json.dumps([f"q{number}" for number in range(count)]))
        what = {
            "who": "ours",
            "url": url,
            "questions": str(questions),
            "concurrency": at_once,
            "folder": folder,
            "max_tokens": 80,
            "attempts": 1,
        }
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.asking", json.dumps(what)],
            cwd=checkout,
            env={"PYTHONPATH": str(checkout), "ALPACA_PIPE_CACHE": folder, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            if time.perf_counter() - began > _PATIENCE and count == 1:
                process.terminate()
            time.sleep(0.02)
        assert process.stdout is not None
        out = process.stdout.read()
    said = json.loads(out) if out.strip() else {}
    return {"peak": peak, "seconds": time.perf_counter() - began, "asking": said.get("seconds")}


def _peak(pid: int) -> float:
    """VmHWM of a process, in MiB."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def _saying(body: bytes) -> Script:
    async def script(asked: Asked) -> AsyncIterator[bytes]:
        yield body

    return script


async def _endless(asked: Asked) -> AsyncIterator[bytes]:
    yield head(200, "Transfer-Encoding: chunked")
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        yield piece


def main(others: list[str]) -> None:
    builds = {"now": Path(__file__).resolve().parents[2], **{Path(p).name: Path(p) for p in others}}
    for what, script in (
        ("a reply of 50 MB", _saying(whole(chat("x " * 25_000_000)))),
        ("an endless reply", _endless),
    ):
        with hostile(script) as server:
            for name, checkout in builds.items():
                row = asked(checkout, server.url, 1, 1)
                print(
                    f"{what:<18} {name:<6} {row['peak']:7.0f} MiB  {row['seconds']:6.1f} s",
                    flush=True,
                )
    rates: dict[str, list[float]] = {name: [] for name in builds}
    with hostile(_saying(whole(chat()))) as server:
        for _ in range(_TURNS):
            for name, checkout in builds.items():
                row = asked(checkout, server.url, _HONEST, _AT_ONCE)
                rates[name].append(_HONEST / row["asking"])
    for name, seen in rates.items():
        share = f" {median(seen) / median(rates[others and Path(others[0]).name or 'now']):.1%}"
        print(f"honest requests/s  {name:<6} {median(seen):7.0f} {[round(x) for x in seen]}{share}")


if __name__ == "__main__":
    main(sys.argv[1:])
