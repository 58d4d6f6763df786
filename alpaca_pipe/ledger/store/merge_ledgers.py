"""Two ledgers become one: their union. An entry that both hold is one entry, because each names the machine that made it.

The two may tell the same attempt's end differently in one way that is no contradiction: a copy of a ledger was made
while the attempt was under way, and whoever holds the copy gave it up as lost. Then what really happened counts.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.migrations import has_choices, keep_choices

_ENDS = ("settled", "released", "lost")
# Tables that are merged row by row; what makes a row the same in both.
_OTHERS = {
    "prices": ("id",),
    "replies": ("key",),
    "batches": ("intent", "event"),
    "batch_requests": ("request", "attempt", "machine"),
    "beats": ("lease", "at", "phase", "detail"),
}


@dataclass(frozen=True)
class Merged:
    """Rows that were added. found: given up as lost in one of the two, known in the other."""

    entries: int = 0
    replies: int = 0
    found: int = 0


def merge(into: Path, other: Path) -> Merged:
    """Adds to the ledger `into` what the ledger `other` holds besides; all or nothing, and a second time adds nothing.
    Raises UserError where the two contradict each other."""
    with Journal.open(other, read_only=True) as theirs, Journal.open(into) as ours:
        merged = ours.write(lambda db: union(db, theirs, into)).result()
        ours.check()
    return merged


def union(db: sqlite3.Connection, theirs: Journal, into: Path) -> Merged:
    """The same, as a part of a larger transaction."""
    added = {table: _rows(db, theirs, table) for table in _OTHERS}
    _choices(db, theirs)
    merged = Merged(replies=added["replies"])
    for entry in theirs.entries():
        entries, found = _entry(db, entry, into, theirs.path)
        merged = replace(merged, entries=merged.entries + entries, found=merged.found + found)
    return merged


def _choices(db: sqlite3.Connection, theirs: Journal) -> None:
    with theirs.read() as other:
        for key, packed in other.execute("SELECT * FROM choices") if has_choices(other) else ():
            known = "SELECT 1 FROM choices WHERE key = ?"
            if not (has_choices(db) and db.execute(known, (key,)).fetchone()):
                keep_choices(db, key, packed)


def _rows(db: sqlite3.Connection, theirs: Journal, table: str) -> int:
    """Of two replies to one request the one that is here already stays: rows were made from it."""
    same = " AND ".join(f"{column} = ?" for column in _OTHERS[table])
    count = 0
    with theirs.read() as other:
        rows = other.execute(
            f"SELECT * FROM {table} ORDER BY rowid"
            if table in ("batches", "beats")
            else f"SELECT * FROM {table}"
        )
        columns = [column for column, *_ in rows.description]
        taken = [column for column in columns if column != "id" or table == "prices"]
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            named = [values[column] for column in _OTHERS[table]]
            if not db.execute(f"SELECT 1 FROM {table} WHERE {same}", named).fetchone():
                db.execute(
                    f"INSERT INTO {table} ({', '.join(taken)}) VALUES ({', '.join('?' * len(taken))})",
                    [values[column] for column in taken],
                )
                count += 1
    return count


def _entry(db: sqlite3.Connection, entry: LedgerEntry, into: Path, other: Path) -> tuple[int, int]:
    """(1, 0) where the entry was added, (1, 1) where it ends what was given up here, (0, 1) where that is so there."""
    known = dict(
        db.execute(
            "SELECT kind, nanodollars FROM entries WHERE request = ? AND attempt = ? AND machine = ?",
            (entry.request, entry.attempt, entry.machine),
        ).fetchall()
    )
    if entry.kind in known:
        if known[entry.kind] != entry.nanodollars:
            raise _contradiction(entry, entry.kind, known[entry.kind], into, other)
        return 0, 0
    end = next((kind for kind in _ENDS if kind in known), None)
    if entry.kind in ("lost", "reconciled") and end in ("settled", "released"):
        return 0, int(entry.kind == "lost")
    if entry.kind in ("settled", "released") and end == "lost":
        if known.get("reconciled", entry.nanodollars) != entry.nanodollars:
            raise _contradiction(entry, "reconciled", known["reconciled"], into, other)
        if "reconciled" in known:
            return 0, 0
        ended = replace(
            entry,
            kind="reconciled",
            frees=known["lost"],
            note=f"{other.name} knows its end: {entry.kind}",
        )
        _insert(db, ended)
        return 1, 1
    if entry.kind in _ENDS and end is not None:
        raise _contradiction(entry, end, known[end], into, other)
    _insert(db, entry)
    return 1, 0


def _insert(db: sqlite3.Connection, entry: LedgerEntry) -> None:
    db.execute(
        f"INSERT INTO entries VALUES (NULL, {', '.join('?' * 14)})",
        (
            entry.at,
            entry.machine,
            entry.recipe,
            entry.run,
            entry.stage,
            entry.request,
            entry.attempt,
            entry.kind,
            entry.class_,
            entry.nanodollars,
            entry.frees,
            canonical(dict(entry.usage)) if entry.usage else None,
            entry.price or None,
            entry.note,
        ),
    )


def _contradiction(
    entry: LedgerEntry, kind: str, amount: int, into: Path, other: Path
) -> UserError:
    return UserError(
        f"the two ledgers contradict each other about the attempt {entry.name}: {into} has it {kind} at "
        f"${exactly(amount)}, {other} has it {entry.kind} at ${exactly(entry.nanodollars)}",
        "keep both files; nothing was merged",
    )
