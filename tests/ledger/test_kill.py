"""kill -9 while the journal is written: what was answered for stays, what was open is lost once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from alpaca_pipe.ledger.store.journal import Journal

WRITES = """
import sys
from pathlib import Path
from alpaca_pipe.ledger.store.journal import Journal
from tests.ledger.conftest import Book
with Journal.open(Path(sys.argv[1])) as journal:
    book = Book(journal, run=sys.argv[2])
    for i in range(100_000):
        attempt = book.opened(f"r1-{sys.argv[2]}-{i}", 1000)
        if i % 3:
            book.settle(attempt)
            print("settled", attempt.request, flush=True)
        else:
            print("reserved", attempt.request, flush=True)
"""


def test_what_was_committed_survives_kill_9(path: Path) -> None:
    settled: set[str] = set()
    chance = random.Random(
        1
    )  # of the line after which it is killed: it is somewhere in a later write then
    reserved: set[str] = set()
    for run in ("one", "two"):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(path), run],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(chance.randrange(40, 80))]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.read().splitlines(keepends=True)
        for what, key in (line.split() for line in lines if line.endswith("\n") and line.strip()):
            (settled if what == "settled" else reserved).add(key)
    with Journal.open(path) as journal:
        for key in settled:
            assert journal.stored(key) is not None
        pending = journal.totals("alpaca").pending
        assert journal.recover("alpaca") == pending >= len(reserved)
        assert journal.recover("alpaca") == 0
        totals = journal.totals("alpaca")
        assert (totals.open, totals.pending, totals.lost) == (0, 0, 1000 * pending)
        assert totals.settled == 700 * totals.requests and totals.requests >= len(settled)
        for key in reserved:
            assert [e.kind for e in journal.entries_of(key)] == ["reserved", "lost"]
        journal.check()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
