"""A ledger of every earlier version opens, keeps its rows, and is refused when it comes from the future."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.store import connection
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.migrations import MIGRATIONS, migrate
from tests.ledger.conftest import Book


def made(path: Path, version: int) -> None:
    """A ledger as that version left it, with one reply in it."""
    path.parent.mkdir(exist_ok=True)
    with sqlite3.connect(path) as db:
        for step in MIGRATIONS[:version]:
            step(db)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(
            "INSERT INTO replies VALUES ('r1-old', 'kept', 'stop', 1, 0, 0, 2, 0, '', '', '{}', '{}', '2026')"
        )
    db.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_every_earlier_version_is_brought_up_to_date(path: Path, version: int) -> None:
    made(path, version)
    with Journal.open(path) as journal:
        stored = journal.stored("r1-old")
        assert stored is not None and stored.text == "kept"
        Book(journal).settle(Book(journal).opened("r1-new"))
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        db.execute("DELETE FROM replies")


def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    def tables(path: Path) -> list[tuple[str, str]]:
        Journal.open(path).close()
        with sqlite3.connect(path) as db:
            return db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    made(tmp_path / "old" / "ledger.sqlite", 1)
    assert tables(tmp_path / "old" / "ledger.sqlite") == tables(tmp_path / "new" / "ledger.sqlite")


def test_an_old_file_is_not_changed_by_reading_it(path: Path) -> None:
    made(path, 1)
    with pytest.raises(UserError, match="written by an older alpaca-pipe"):
        Journal.open(path, read_only=True)


def test_a_file_from_the_future_is_refused(path: Path) -> None:
    made(path, len(MIGRATIONS))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(UserError, match="written by a newer alpaca-pipe .* - update alpaca-pipe"):
        Journal.open(path)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    made(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE entries (x)")
    with pytest.raises(UserError, match="could not be used"):
        Journal.open(path)
    with sqlite3.connect(path) as db:
        names = {
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert names == {"replies", "entries"}


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_who_looks_while_a_new_one_is_made_sees_none_or_a_whole_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    seen = []

    def looked(db: sqlite3.Connection, named: Path) -> None:
        seen.append(path.exists())
        migrate(db, named)

    def no_link(*paths: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links")

    monkeypatch.setattr(connection, "migrate", looked)
    if not links:
        monkeypatch.setattr("os.link", no_link)
    with Journal.open(path) as journal:
        Book(journal).settle(Book(journal).opened("r1-new"))
        assert Journal.open(path, read_only=True).totals().requests == 1
    assert seen[0] is False
    assert {file.name for file in path.parent.iterdir()} <= {
        path.name,
        f"{path.name}-wal",
        f"{path.name}-shm",
    }
