"""A hostile teacher against `alpaca-pipe run`, for as long as one likes: `python -m tests.attack.fuzz --minutes 30`.

Each example has a seed of its own: a server that answers some requests well and others with anything (bytes, headers, JSON
with one thing exchanged, batches that come to nothing), one or two runs against it, and perhaps one against an honest server
afterwards. After each of them: exit code 0, 2 or 130, no fault of ours, nothing on the screen that a terminal obeys, and in
the ledger reserved = settled + released + lost + open. A run that takes too long is asked to stop, and has to. What failed is
run again by `--seed N --examples 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.attack.commands import CLEAN, call
from tests.attack.hostile import Asked, Script, head, hostile
from tests.attack.hostile_replies import HonestBatches, honest, mutated, nasty_answer

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
PATIENCE, LONGEST = 6.0, 40.0  # seconds until a run is asked to stop, and until it must have
DEBUG: list[str] = []
MOST_MEMORY = 3 << 30
RECIPE = """name: fuzz
teacher:
  kind: {kind}
  model: m
  identity: fuzz
  base_url: {url}
  price: {{in: 0.15, out: 0.60}}
  concurrency: {concurrency}
  timeout: 2
  max_attempts: 2
{more}budget: {{api: {cap}, go_on: true}}
generate: {{count: 6, round_size: {round_size}, max_requests: 12}}
"""


@dataclass
class Found:
    """examples, runs: how many.  ends: of runs, by exit code.  said: what went wrong, with its seed."""

    examples: int = 0
    runs: int = 0
    requests: int = 0
    stopped: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    def to_row(self) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {**self.__dict__, "ends": dict(self.ends), "peak_mib": round(peak)}


def script_of(chance: random.Random, good: float, by_batch: bool) -> Script:
    """A teacher that answers well with probability `good`."""
    batches = HonestBatches()

    async def script(asked: Asked) -> AsyncIterator[bytes]:
        status, body = batches.answer(asked) if by_batch else honest(asked)
        if chance.random() < good:
            yield head(status, f"Content-Length: {len(body)}") + body
            return
        if by_batch and chance.random() < 0.5 and b"\n" in body.strip():
            lines = [mutated(chance, line) for line in body.splitlines()]
            body = b"\n".join(chance.choices(lines, k=len(lines)))
            yield head(status, f"Content-Length: {len(body)}") + body
            return
        async for piece in nasty_answer(chance, status, body):
            yield piece

    return script


def example(seed: int, home: Path, found: Found) -> None:
    """One workspace, from its seed alone."""
    chance = random.Random(seed)
    by_batch = chance.random() < 0.35
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.chdir(home)
    options = {
        "kind": "openai_batch"
        if by_batch
        else chance.choice(["openai_chat"] * 3 + ["openai_completions"]),
        "concurrency": chance.choice([1, 2, 8, 32]),
        "cap": chance.choice(["0", "0.002", "0.02", "5"]),
        "round_size": chance.choice([2, 6]),
        "more": "  poll: 0.1\n" if by_batch else "",
    }
    if options["kind"] == "openai_completions":
        options["more"] = ""
        options["style"] = "alpaca-2023"
    for good in chance.sample([0.0, 0.5, 0.8, 0.95], chance.choice([1, 2])):
        with hostile(script_of(chance, good, by_batch)) as server:
            _run(seed, found, options, server.url, chance)
            found.requests += len(server.asked)
    if chance.random() < 0.4:
        with hostile(script_of(chance, 1.0, by_batch)) as server:
            code, said = _run(seed, found, options, server.url, None)
            if code == 2 and not _limited(said):
                found.said.append(f"seed {seed}: an honest teacher is refused: {said[-400:]!r}")


def _limited(said: str) -> bool:
    """Whether a run ended by a promise: a cap, or a bill above its ceiling."""
    return "budget" in said or "ceiling" in said


def _run(
    seed: int, found: Found, options: dict[str, Any], url: str, chance: random.Random | None
) -> tuple[int, str]:
    style = f"\nstyle: {options['style']}" if "style" in options else ""
    recipe = RECIPE.format(url=url, **{k: v for k, v in options.items() if k != "style"})
    if style:
        recipe = recipe.replace("generate: {", "generate: {style: alpaca-2023, ")
    Path("fuzz.yaml").write_text(recipe)
    over = threading.Event()
    patience = PATIENCE
    if chance is not None and chance.random() < 0.1:
        patience = chance.random() * 0.5  # somebody presses Ctrl-C

    def watch() -> None:
        if over.wait(patience):
            return
        found.stopped += 1
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            os.kill(os.getpid(), signal.SIGINT)  # once more, and it ends at once
            if over.wait(LONGEST / 4):
                return
        print(f"seed {seed}: does not stop", flush=True)
        os._exit(3)

    began = time.monotonic()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        code, said = call("run", "fuzz.yaml", "--until", "generate", *DEBUG)
    except KeyboardInterrupt:
        code, said = 130, ""
    finally:
        over.set()
        watcher.join()
    found.runs += 1
    found.ends[str(code)] += 1
    for what in _wrong(code, said, Path("runs/ledger.sqlite")):
        took = time.monotonic() - began
        found.said.append(f"seed {seed}: {what} ({took:.1f} s): {said[-600:]!r}")
    return code, said


def _wrong(code: int, said: str, ledger: Path) -> list[str]:
    wrong = [] if code in CLEAN else [f"exit code {code}"]
    if "a bug in alpaca-pipe" in said or "Traceback" in said:
        wrong.append("a bug in alpaca-pipe")
    if OBEYED.search(said):
        wrong.append(f"{OBEYED.search(said)!r} on the screen")
    if ledger.exists():
        with closing(sqlite3.connect(ledger)) as db:
            wrong += books_of(db)
    return wrong


def books_of(db: sqlite3.Connection) -> list[str]:
    """What does not add up, from the entries alone: written apart from the program's own sums."""
    by: dict[tuple[str, int, str], dict[str, int]] = {}
    for request, attempt, machine, kind, amount in db.execute(
        "SELECT request, attempt, machine, kind, nanodollars FROM entries WHERE class = 'api'"
    ):
        by.setdefault((request, attempt, machine), {})[kind] = amount
    wrong = []
    opened = freed = still = 0
    for name, kinds in by.items():
        ends = kinds.keys() & {"settled", "released", "lost"}
        if "reserved" not in kinds and ends or len(ends) > 1:
            wrong.append(f"{name} has {sorted(kinds)}")
        if "reserved" in kinds:
            opened += kinds["reserved"]
            if ends:
                freed += kinds["reserved"]
            else:
                still += kinds["reserved"]
        if min(kinds.get(kind, 0) for kind in ("reserved", "settled", "lost")) < 0:
            wrong.append(f"{name} is negative")
    kept, open_ = db.execute(
        "SELECT COALESCE(SUM(settled), 0), COALESCE(SUM(open), 0) FROM balances WHERE class = 'api'"
    ).fetchone()
    settled = sum(
        amount
        for kinds in by.values()
        for kind, amount in kinds.items()
        if kind in ("settled", "reconciled", "correction")
    )
    if opened != freed + still or open_ != still or kept != settled:
        wrong.append(
            f"reserved {opened}, freed {freed}, open {still} ({open_}), settled {settled} ({kept})"
        )
    unpaid = db.execute(
        """SELECT COUNT(*) FROM entries AS e WHERE kind = 'settled' AND class = 'api'
           AND NOT EXISTS (SELECT 1 FROM replies WHERE key = e.request)"""
    ).fetchone()[0]
    if unpaid:
        wrong.append(f"{unpaid} settled entries have no reply")
    return wrong


def work(seed: int, minutes: float, examples: int, home: Path) -> Found:
    # between two runs; a run hears it itself
    signal.signal(signal.SIGINT, lambda number, frame: None)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    os.environ["ALPACA_PIPE_CACHE"] = str(home / "cache")
    os.environ["ALPACA_PIPE_PRICES"] = str(home / "prices.yaml")
    found, until = Found(), time.monotonic() + 60 * minutes
    while found.examples < examples and time.monotonic() < until:
        example(seed + found.examples, home / "work", found)
        found.examples += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=1 << 40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--debug", action="store_true", help="tracebacks")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    DEBUG.extend(["--debug"] * asked.debug)
    with TemporaryDirectory() as folder:
        if asked.alone or asked.workers == 1 or asked.examples == 1:
            found = work(asked.seed, asked.minutes, asked.examples, Path(folder))
            os.chdir("/")
            print(json.dumps(found.to_row()), flush=True)
            sys.exit(1 if found.said else 0)
        command = [
            sys.executable,
            "-m",
            "tests.attack.fuzz",
            "--alone",
            "--minutes",
            str(asked.minutes),
        ]
        workers = [
            subprocess.Popen(
                [
                    *command,
                    "--seed",
                    str(asked.seed + number * 1_000_000),
                    "--examples",
                    str(asked.examples),
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(asked.workers)
        ]
        rows = []
        for worker in workers:
            out, _ = worker.communicate()
            last = out.strip().splitlines()[-1] if out.strip() else ""
            rows.append(
                json.loads(last) if last.startswith("{") else {"said": [last or "a worker died"]}
            )
    sums = {
        name: sum(row.get(name, 0) for row in rows)
        for name in ("examples", "runs", "requests", "stopped")
    }
    ends: Counter[str] = Counter()
    for row in rows:
        ends.update(row.get("ends", {}))
    said = [sentence for row in rows for sentence in row["said"]]
    peak = max(row.get("peak_mib", 0) for row in rows)
    print("\n".join(said))
    print(
        json.dumps(
            {**sums, "ends": dict(ends), "peak_mib": peak, "seed": asked.seed, "wrong": len(said)}
        )
    )
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
