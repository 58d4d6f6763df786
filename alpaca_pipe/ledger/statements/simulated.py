"""What a scripted teacher answered is entered at a real one's price, for forecasts and caps to be tried on; nobody bills it."""

from __future__ import annotations

import sqlite3

from alpaca_pipe.ledger.money import shown

_SCRIPTED = "instr(replies.teacher, '\"rehearsed\":')"  # as the kind `rehearsed` says whom it asks


def simulated(db: sqlite3.Connection, recipe: str | None = None) -> int:
    """Nano-dollars that are settled for replies of a scripted teacher."""
    found = db.execute(
        "SELECT SUM(e.nanodollars) FROM entries AS e JOIN replies ON replies.key = e.request "
        f"WHERE e.class = 'api' AND e.kind = 'settled' AND {_SCRIPTED} AND (?1 IS NULL OR e.recipe = ?1)",
        (recipe,),
    ).fetchone()
    return int(found[0] or 0)


def scripted_requests(db: sqlite3.Connection) -> frozenset[str]:
    """Their keys."""
    rows = db.execute(f"SELECT replies.key FROM replies WHERE {_SCRIPTED}")
    return frozenset(key for (key,) in rows)


def simulated_line(nanodollars: int) -> list[str]:
    """The sentence, where there is something to say."""
    if not nanodollars:
        return []
    return [
        f"of it {shown(nanodollars)} is simulated: a scripted teacher answered, and nothing was paid"
    ]
