"""The running balances held against the sum of the journal: two ways to the same three figures."""

from __future__ import annotations

import sqlite3

from alpaca_pipe.ledger.entries import adds

# Of an entry `e` that reserves: nothing has ended its attempt.
STILL_OPEN = """NOT EXISTS (SELECT 1 FROM entries WHERE request = e.request AND attempt = e.attempt AND machine = e.machine
    AND kind IN ('settled', 'released', 'lost'))"""
SUMS = "SUM(settled), SUM(lost), SUM(open)"
Figures = tuple[int, ...]  # settled, lost, open, in nano-dollars


def kept_and_summed(db: sqlite3.Connection) -> tuple[Figures, Figures]:
    """What the balances say and what the entries come to, in one snapshot."""
    db.execute("BEGIN")
    try:
        kept = db.execute(f"SELECT {SUMS} FROM balances").fetchone()
        groups = db.execute(
            "SELECT kind, SUM(nanodollars), SUM(frees) FROM entries GROUP BY kind"
        ).fetchall()
    finally:
        db.execute("COMMIT")
    columns = zip(*(adds(*group) for group in groups), strict=True)
    return tuple(amount or 0 for amount in kept), tuple(map(sum, columns)) or (0, 0, 0)
