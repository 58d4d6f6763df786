"""Prices that were already old, or nobody's word, on the day on which something was paid at them."""

from __future__ import annotations

import json
import sqlite3
from datetime import date

from alpaca_pipe.ledger.pricing.token_prices import Price


def price_doubts(db: sqlite3.Connection, recipe: str | None = None) -> list[str]:
    """A sentence for each price that an attempt was reserved at; the doubt is that of its last day of use."""
    rows = db.execute(
        "SELECT p.price, MAX(e.at) FROM entries AS e JOIN prices AS p ON p.id = e.price "
        "WHERE e.class = 'api' AND (?1 IS NULL OR e.recipe = ?1) GROUP BY e.price ORDER BY 2",
        (recipe,),
    ).fetchall()
    found = []
    for text, at in rows:
        row = json.loads(text)
        if "per_million" in row and (
            doubt := Price.from_row(row).doubt(date.fromisoformat(at[:10]))
        ):
            found.append(doubt)
    return found
