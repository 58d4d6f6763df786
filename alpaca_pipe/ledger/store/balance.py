"""The running balances held against the sum of the journal: two ways to the same three figures."""

from __future__ import annotations

import sqlite3

SUMS = "SUM(settled), SUM(lost), SUM(open)"
Figures = tuple[int, ...]  # settled, lost, open, in nano-dollars


def kept_and_summed(db: sqlite3.Connection) -> tuple[Figures, Figures]:
    """What the balances say and what the entries come to, in one snapshot."""
    db.execute("BEGIN")
    try:
        kept = db.execute(f"SELECT {SUMS} FROM balances").fetchone()
        added: dict[str, int] = {}
        freed: dict[str, int] = {}
        for kind, nanodollars, frees in db.execute(
            "SELECT kind, SUM(nanodollars), SUM(frees) FROM entries GROUP BY kind"
        ):
            added[kind], freed[kind] = nanodollars, frees
    finally:
        db.execute("COMMIT")
    opened = added.get("reserved", 0) + added.get("lent", 0)
    return tuple(amount or 0 for amount in kept), (
        sum(added.get(kind, 0) for kind in ("settled", "reconciled", "correction")),
        added.get("lost", 0) - freed.get("reconciled", 0),
        opened - sum(freed.get(kind, 0) for kind in ("settled", "released", "lost")),
    )
