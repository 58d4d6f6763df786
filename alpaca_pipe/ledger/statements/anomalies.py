"""What was odd about replies (tier, model, cost, usage), as the journal noted it: each kind once, with how often."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter

_FIGURE = re.compile(r"\S*\d\S*")
_MOST = 5  # kinds that are shown


def anomalies(db: sqlite3.Connection, recipe: str) -> list[str]:
    """Sentences about all runs of a recipe, the most frequent kind first; figures tell no kinds apart."""
    rows = db.execute(
        "SELECT note FROM entries WHERE kind = 'anomaly' AND recipe = ? ORDER BY id", (recipe,)
    )
    counts, first = Counter[str](), dict[str, str]()
    for (notes,) in rows:
        for note in notes.split("; "):
            kind = _FIGURE.sub("#", note)
            counts[kind] += 1
            first.setdefault(kind, note)
    said = [
        f"{first[kind]}{f' (and {count - 1:,} more like it)' if count > 1 else ''}"
        for kind, count in counts.most_common(_MOST)
    ]
    if len(counts) > _MOST:
        said.append(f"and {len(counts) - _MOST:,} kinds more, which `alpaca-pipe ledger` counts")
    return said
