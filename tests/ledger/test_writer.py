"""The one thread that writes outlives what other processes and the file do to it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import TimeoutError
from contextlib import closing
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.store.connection import connected
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.writer import Writer
from tests.ledger.conftest import Book
from tests.waiting import PATIENCE


def impatient(path: Path) -> sqlite3.Connection:
    """A connection that waits for others no longer than a moment."""
    db = connected(path)
    db.execute("PRAGMA busy_timeout = 10")
    return db


def test_what_was_paid_for_waits_until_another_process_lets_the_ledger_go(
    book: Book, path: Path
) -> None:
    writer = Writer(impatient(path), path)
    with closing(connected(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        futures = [
            writer.submit(
                lambda db, number=number: (
                    db.execute("INSERT INTO prices VALUES (?, '{}')", (f"p{number}",)).rowcount
                )
            )
            for number in range(8)
        ]
        with pytest.raises(TimeoutError):  # ten times as long as the connection waits
            futures[0].result(timeout=0.3)
        other.execute("ROLLBACK")
        assert [future.result(timeout=PATIENCE) for future in futures] == [1] * 8
    writer.close()
    with closing(connected(path)) as db:
        assert db.execute("SELECT COUNT(*) FROM prices").fetchone() == (8,)


def test_a_group_that_cannot_be_taken_back_fails_and_the_next_is_written(
    book: Book, path: Path
) -> None:
    db = connected(path)
    writer = Writer(db, path)

    def forbids(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO prices VALUES ('never', '{}')")
        db.set_authorizer(
            lambda action, *rest: (
                sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK
            )
        )

    with pytest.raises(UserError, match="could not be used: not authorized"):
        writer.submit(forbids).result(timeout=PATIENCE)
    db.set_authorizer(None)
    writer.submit(lambda db: db.execute("INSERT INTO prices VALUES ('kept', '{}')")).result(
        timeout=PATIENCE
    )
    assert db.execute("SELECT id FROM prices").fetchall() == [("kept",)]
    writer.close()


def test_a_connection_that_is_gone_is_told_to_everybody_who_waits(path: Path) -> None:
    with Journal.open(path):
        writer = Writer(connected(path), path)
        for _ in range(2):
            with pytest.raises(UserError, match="closed database"):
                writer.submit(lambda db: db.close()).result(timeout=PATIENCE)
        writer.close()
