"""What the rows of a run rest on: the requests behind them, and what those have cost, whichever run paid."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from alpaca_pipe.report.run_files import RunFiles

_KEYS_AT_ONCE = 500
_COST = """SELECT SUM(CASE kind WHEN 'settled' THEN nanodollars WHEN 'lost' THEN nanodollars WHEN 'correction' THEN nanodollars
    WHEN 'reconciled' THEN nanodollars - frees ELSE 0 END) FROM entries"""


def keys_behind(found: RunFiles) -> list[str]:
    """Of the requests that its prompts, and its grades, were answered by; empty where no prompt of the run is there."""
    keys = [key for seat in found.step("generate").rows("seats.jsonl") for key in seat["keys"]]
    keys += [
        row["source"] for row in found.step("curate").rows("grades.jsonl") if row.get("source")
    ]
    return list(dict.fromkeys(keys))


def in_parts(keys: Sequence[str]) -> list[list[str]]:
    """So many at once as a statement of SQLite takes."""
    return [
        list(keys[start : start + _KEYS_AT_ONCE]) for start in range(0, len(keys), _KEYS_AT_ONCE)
    ]


def cost_of(db: sqlite3.Connection, keys: Sequence[str]) -> int:
    """Nano-dollars: all attempts of each."""
    return sum(
        db.execute(f"{_COST} WHERE request IN ({','.join('?' * len(part))})", part).fetchone()[0]
        or 0
        for part in in_parts(keys)
    )


def paid_for(db: sqlite3.Connection, keys: Sequence[str]) -> tuple[int, int, int]:
    """Nano-dollars of all attempts of these requests, as `cost_of`; of it lost until reconciled; of it billed without a reply of
    their own, or twice."""
    paid = lost = again = 0
    for part in in_parts(keys):
        found = db.execute(f"{_PAID} WHERE request IN ({','.join('?' * len(part))}))", part)
        for amount, unknown, twice in found:
            paid, lost, again = paid + (amount or 0), lost + (unknown or 0), again + (twice or 0)
    return paid, lost, again


_PAID = """SELECT SUM(CASE kind WHEN 'settled' THEN nanodollars WHEN 'lost' THEN nanodollars WHEN 'correction' THEN nanodollars
      WHEN 'reconciled' THEN nanodollars - frees ELSE 0 END),
    SUM(CASE kind WHEN 'lost' THEN nanodollars WHEN 'reconciled' THEN -frees ELSE 0 END),
    SUM(iif(kind = 'reconciled' OR kind = 'settled' AND id IS NOT first, nanodollars, 0))
    FROM (SELECT *, MIN(iif(kind = 'settled', id, NULL)) OVER (PARTITION BY request) AS first FROM entries"""
