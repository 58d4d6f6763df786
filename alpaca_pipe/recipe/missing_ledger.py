"""A ledger that is gone while steps that cost money lie there is put back, or given up in words: never made anew in silence,
with budgets that begin at $0."""

from __future__ import annotations

from collections.abc import Iterator

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.recipe.store import Done
from alpaca_pipe.recipe.workspace import Workspace


def refuse_missing_ledger(workspace: Workspace) -> None:
    """Raises UserError where the ledger is missing or empty beside sealed steps that cost money."""
    if _holds_something(workspace):
        return
    paid = {done.folder.name: cost for done in _sealed(workspace) if (cost := _cost(done))}
    if not paid:
        return
    first = ", ".join(sorted(paid)[:3]) + (" ..." if len(paid) > 3 else "")
    gone = "is empty" if workspace.ledger.exists() else "is gone"
    raise UserError(
        f"the ledger {workspace.ledger} {gone}, and {len(paid)} sealed steps beside it cost about "
        f"{shown(sum(paid.values()))} ({first}): with a new one every budget would begin at $0 and every reply would be "
        "bought again",
        "put the ledger back (with its -wal file, where there is one); or say that it is lost for good: alpaca-pipe run RECIPE --new-ledger",
    )


def _holds_something(workspace: Workspace) -> bool:
    if not workspace.ledger.exists() or not workspace.ledger.stat().st_size:
        return False
    import sqlite3
    from contextlib import closing

    from alpaca_pipe.ledger.store import connection

    try:
        with closing(connection.read_only(workspace.ledger)) as db:
            return any(
                db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
                for table in ("entries", "shares")
            )
    except (UserError, sqlite3.Error):
        return True  # of an older version, or damaged: said where it is opened


def _sealed(workspace: Workspace) -> Iterator[Done]:
    for file in sorted(workspace.store.root.glob("*/done.json")):
        if done := workspace.store.done(file.parent):
            yield done


def _cost(done: Done) -> int:
    """Nano-dollars, as the step says itself; of one that was sealed before it said so, what was planned."""
    if done.spent is not None:
        return done.spent
    ranges = [done.planned.get(name) for name in ("api", "gpu")]
    middles = [one[1] for one in ranges if isinstance(one, list) and len(one) == 3]
    return round(sum(middle for middle in middles if isinstance(middle, int | float)))
