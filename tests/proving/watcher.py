"""Looks at a ledger from outside, over and over: what is settled, lost and open never passes the cap in force.

`python -m tests.proving.watcher LEDGER CAPS`: the last line of CAPS is the cap in nano-dollars. Prints what it saw as JSON
when its stdin closes.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from pathlib import Path

_EVERY = 0.005  # seconds


def watch(ledger: Path, caps: Path, stop: threading.Event) -> dict[str, object]:
    looks, most, over = 0, 0, []
    while not stop.wait(_EVERY):
        cap = int(caps.read_text().split()[-1])  # read first: it only rises
        try:
            held = _held(ledger)
        except sqlite3.OperationalError:  # not there yet, or between two states of its files
            continue
        looks, most = looks + 1, max(most, held)
        if held > cap:
            over.append({"at": time.time(), "held": held, "cap": cap})
    return {"looks": looks, "most": most, "over": over}


def _held(ledger: Path) -> int:
    db = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)
    try:
        sums = db.execute(
            "SELECT SUM(settled + lost + open) FROM balances WHERE class = 'api'"
        ).fetchone()
    finally:
        db.close()
    return int(sums[0] or 0)


def main() -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    print(json.dumps(watch(Path(sys.argv[1]), Path(sys.argv[2]), stop)))


if __name__ == "__main__":
    main()
