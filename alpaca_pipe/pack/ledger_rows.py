"""The books of one recipe as lines of JSON, and back: a ledger of their own, made by our own schema, that is then merged.

No database file travels: what comes from elsewhere is read as plain values, and whatever the triggers refuse is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.files import canonical, read_jsonl
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.book_rows import BooksChecked, RepliesChecked

FILE = "books.jsonl"
_NUMBERED = ("entries", "batches", "beats")  # whose id is a number of this file only
_TABLES = (
    "prices",
    "entries",
    "replies",
    "batches",
    "batch_requests",
    "beats",
)  # in an order in which they can be written


def write_books(db: sqlite3.Connection, recipe: str, after: int, replies: bool, file: Path) -> int:
    """Every attempt of a recipe that began after an entry, with the prices, batches and beats that belong to it; with
    `replies` the raw replies too. Answers how many replies stay behind."""
    began = """SELECT * FROM entries AS e WHERE recipe = ?1 AND (SELECT MIN(id) FROM entries WHERE request = e.request
               AND attempt = e.attempt AND machine = e.machine) > ?2"""
    bought = f"SELECT * FROM replies WHERE key IN (SELECT request FROM ({began} AND class = 'api' AND kind = 'settled'))"
    asked = {
        "prices": f"SELECT * FROM prices WHERE id IN (SELECT price FROM ({began}))",
        "entries": f"{began} ORDER BY id",
        "replies": bought,
        "beats": f"SELECT * FROM beats WHERE lease IN (SELECT run FROM ({began})) ORDER BY id",
        "batches": f"""SELECT * FROM batches WHERE intent IN (SELECT intent FROM batch_requests AS b WHERE EXISTS (
            SELECT 1 FROM ({began}) AS e WHERE e.request = b.request AND e.attempt = b.attempt AND e.machine = b.machine))
            ORDER BY id""",
        "batch_requests": f"""SELECT b.* FROM batch_requests AS b JOIN ({began} AND kind = 'reserved') AS e
            ON e.request = b.request AND e.attempt = b.attempt AND e.machine = b.machine""",
    }
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for table in _TABLES:
            if table != "replies" or replies:
                _write(db, table, asked[table], (recipe, after), out)
    return (
        0
        if replies
        else int(db.execute(f"SELECT COUNT(*) FROM ({bought})", (recipe, after)).fetchone()[0])
    )


def write_replies(db: sqlite3.Connection, recipe: str, keys: Sequence[str], file: Path) -> None:
    """The raw replies that a recipe bought, and those of the keys: what its rows were made from."""
    db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (key TEXT PRIMARY KEY)")
    db.execute("DELETE FROM wanted")
    db.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", ((key,) for key in keys))
    with file.open("w", encoding="utf-8", newline="\n") as out:
        _write(
            db,
            "replies",
            """SELECT * FROM replies WHERE key IN (SELECT key FROM wanted)
               OR key IN (SELECT request FROM entries WHERE recipe = ? AND kind = 'settled')""",
            (recipe,),
            out,
        )


def read_books(file: Path, ledger: Path, checked: BooksChecked | RepliesChecked) -> None:
    """Makes a ledger from such a file, once all of it was read. Raises UserError for what is none of ours."""
    try:
        for table, row in _read(file):
            checked.row(table, row)
        checked.all()
        with Journal.open(ledger) as journal:
            journal.write(lambda db: _fill(db, file)).result()
    except (ValueError, KeyError, TypeError, AttributeError, sqlite3.Error) as error:
        raise UserError(
            f"the books in this pack cannot be read: {first_line(error)[:200]}",
            "nothing was merged: they were made by another version of alpaca-pipe, or by an unknown program; use the same "
            "version on both machines",
        ) from None


def _fill(db: sqlite3.Connection, file: Path) -> None:
    """Their columns were read, so their names are ours."""
    for table, row in _read(file):
        names = sorted(row)
        db.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            [row[name] for name in names],
        )


def open_attempts(db: sqlite3.Connection, recipe: str) -> int:
    """Attempts that have no end yet: after a recovery, those that lie with a provider as a batch."""
    return int(
        db.execute(
            "SELECT COALESCE(SUM(pending), 0) FROM balances WHERE recipe = ?", (recipe,)
        ).fetchone()[0]
    )


def _read(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Raises ValueError for what is no row."""
    for line in read_jsonl(file):
        if not isinstance(line, dict) or set(line) != {"table", "row"}:
            raise ValueError("a line is not a row of a table")
        if not isinstance(line["table"], str) or not isinstance(line["row"], dict):
            raise ValueError("a line is not a row of a table")
        yield line["table"], line["row"]


def _write(db: sqlite3.Connection, table: str, query: str, values: Sequence[Any], out: Any) -> None:
    found = db.execute(query, values)
    columns = [name for name, *_ in found.description]
    for row in found:
        plain = {
            name: value
            for name, value in zip(columns, row, strict=True)
            if name != "id" or table not in _NUMBERED
        }
        out.write(canonical({"table": table, "row": plain}) + "\n")
