"""The journal as files for others: every entry as JSON lines, every charge as a FOCUS 1.2 CSV."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.ledger.statements.focus import COLUMNS, Charge, focus_row, stored_json
from alpaca_pipe.ledger.statements.simulated import scripted_requests
from alpaca_pipe.ledger.store.journal import Journal, entry_of

_ENTRY = ", ".join(
    f"e.{'class' if field.name == 'class_' else field.name}" for field in fields(LedgerEntry)
)
# A lost row that was reconciled is told by the row that reconciled it. A correction belongs to the time of its attempt.
_CHARGES = f"""SELECT {_ENTRY}, COALESCE(began.at, e.at),
    iif(e.kind IN ('reconciled', 'correction'), COALESCE(ended.at, e.at), e.at), prices.price, replies.teacher
    FROM entries AS e
    LEFT JOIN entries AS began ON began.request = e.request AND began.attempt = e.attempt AND began.machine = e.machine
        AND began.kind = 'reserved'
    LEFT JOIN entries AS ended ON e.kind IN ('reconciled', 'correction') AND ended.request = e.request
        AND ended.attempt = e.attempt AND ended.machine = e.machine AND ended.kind IN ('settled', 'released', 'lost')
    LEFT JOIN prices ON prices.id = e.price
    LEFT JOIN replies ON replies.key = e.request
    WHERE (?1 IS NULL OR e.recipe = ?1) AND (e.kind IN ('settled', 'reconciled', 'correction')
        OR (e.kind = 'lost' AND NOT EXISTS (SELECT 1 FROM entries WHERE request = e.request AND attempt = e.attempt
                                            AND machine = e.machine AND kind = 'reconciled')))
    ORDER BY e.id"""


def export_jsonl(path: Path, file: Path, recipe: str | None = None) -> int:
    """Writes every entry of a ledger as a line of JSON; answers how many. What a scripted teacher answered is marked."""
    count = 0
    with Journal.open(path, read_only=True) as journal, _whole(file) as stream:
        with journal.read() as db:
            scripted = scripted_requests(db)
        for entry in journal.entries(recipe):
            mark = {"simulated": True} if entry.request in scripted else {}
            stream.write(json.dumps(entry_row(entry) | mark, ensure_ascii=False) + "\n")
            count += 1
    return count


def export_focus(path: Path, file: Path, recipe: str | None = None) -> int:
    """Writes every charge of a ledger as a FOCUS 1.2 CSV, gzipped where its name ends in .gz; answers how many. The sum
    of BilledCost is what the ledger calls settled and lost."""
    count, width = 0, len(fields(LedgerEntry))
    with (
        Journal.open(path, read_only=True) as journal,
        _whole(file) as stream,
        journal.read() as db,
    ):
        teachers = {id_: _teacher(db, id_) for (id_,) in db.execute("SELECT id FROM prices")}
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in db.execute(_CHARGES, (recipe,)):
            began, ended, price, asked = row[width:]
            entry = entry_of(row[:width])
            teacher = stored_json(asked) or teachers.get(entry.price, {})
            charge = Charge(entry, began, ended, stored_json(price), teacher)
            writer.writerow(focus_row(charge).values())
            count += 1
    return count


def _teacher(db: sqlite3.Connection, price: str) -> Mapping[str, Any]:
    """Who answered at this price; {} where nobody did."""
    found = db.execute(
        """SELECT replies.teacher FROM entries JOIN replies ON replies.key = entries.request
                          WHERE entries.price = ? AND entries.kind = 'settled' LIMIT 1""",
        (price,),
    ).fetchone()
    return stored_json(found[0]) if found else {}


def entry_row(entry: LedgerEntry) -> dict[str, Any]:
    """The names of the columns in the ledger's file, and the dollars written out."""
    row = {field.name.rstrip("_"): getattr(entry, field.name) for field in fields(entry)}
    return row | {"dollars": exactly(entry.nanodollars)}


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    """A text file that is there whole or not at all. UserError where it cannot be written."""
    part = file.parent / f".{file.name}.{secrets.token_hex(4)}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(part, "xt", encoding="utf-8", newline="") as stream:
            yield stream
        os.replace(part, file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror}",
            "name a file in a folder that you may write to",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
