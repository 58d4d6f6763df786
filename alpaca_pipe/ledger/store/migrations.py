"""The tables of the ledger, as named migrations: a file of any earlier version is brought to this one when it is opened.

A migration that was shipped is never edited; the next need is the next function at the end of MIGRATIONS. What may
change (kinds, classes) is checked by trigger, because a trigger can be replaced and a CHECK cannot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from alpaca_pipe.core.errors import UserError


def replies(db: sqlite3.Connection) -> None:
    """What was paid for: the text as it came, with everything that a replay or an audit asks for."""
    db.execute("""CREATE TABLE replies (
        key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL,
        uncached_in INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
        visible_out INTEGER NOT NULL, reasoning_out INTEGER NOT NULL,
        model_said TEXT NOT NULL, fingerprint TEXT NOT NULL,
        request TEXT NOT NULL, teacher TEXT NOT NULL, at TEXT NOT NULL)""")
    _append_only(db, "replies", "key = NEW.key")


def prices(db: sqlite3.Connection) -> None:
    """The prices that entries name, kept whole: a price book that moves cannot re-price history."""
    db.execute("CREATE TABLE prices (id TEXT PRIMARY KEY, price TEXT NOT NULL)")
    _append_only(db, "prices", "id = NEW.id")


def entries(db: sqlite3.Connection) -> None:
    """The journal. `nanodollars` is what a row adds under its kind; `frees` is what it takes back from the kind before
    it: an end from its reservation, a reconciliation from what was lost. An attempt ends once."""
    db.execute("""CREATE TABLE entries (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, machine TEXT NOT NULL,
        recipe TEXT NOT NULL, run TEXT NOT NULL, stage TEXT NOT NULL,
        request TEXT NOT NULL, attempt INTEGER NOT NULL CHECK (typeof(attempt) = 'integer'),
        kind TEXT NOT NULL, class TEXT NOT NULL,
        nanodollars INTEGER NOT NULL CHECK (typeof(nanodollars) = 'integer'),
        frees INTEGER NOT NULL DEFAULT 0 CHECK (typeof(frees) = 'integer'),
        usage TEXT, price TEXT REFERENCES prices (id), note TEXT NOT NULL DEFAULT '',
        UNIQUE (request, attempt, kind, machine))""")  # the machine is in it so that merging two ledgers is a union
    _append_only(
        db,
        "entries",
        """id = NEW.id OR (
        request = NEW.request AND attempt = NEW.attempt AND machine = NEW.machine AND (kind = NEW.kind OR (
            kind IN ('settled', 'released', 'lost') AND NEW.kind IN ('settled', 'released', 'lost'))))""",
    )
    db.execute("""CREATE TRIGGER entries_are_known BEFORE INSERT ON entries
        WHEN NEW.kind NOT IN ('reserved', 'settled', 'released', 'lost', 'reconciled', 'correction', 'anomaly')
          OR NEW.class NOT IN ('api', 'machine', 'gpu', 'energy', 'storage', 'egress', 'human')
        BEGIN SELECT RAISE(ABORT, 'an entry of an unknown kind or class'); END""")
    db.execute("""CREATE TRIGGER entries_free_what_was_reserved BEFORE INSERT ON entries
        WHEN NEW.frees <> COALESCE(
            (SELECT nanodollars FROM entries WHERE request = NEW.request AND attempt = NEW.attempt
             AND machine = NEW.machine AND kind = CASE WHEN NEW.kind IN ('settled', 'released', 'lost') THEN 'reserved'
                                                       WHEN NEW.kind = 'reconciled' THEN 'lost' END), 0)
        BEGIN SELECT RAISE(ABORT, 'an entry frees exactly what its attempt has reserved'); END""")


def balances(db: sqlite3.Connection) -> None:
    """Running totals, kept in the transaction of their entry, so that a cap is checked without adding up the journal."""
    db.execute("""CREATE TABLE balances (
        recipe TEXT NOT NULL, run TEXT NOT NULL, stage TEXT NOT NULL, class TEXT NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0, answered INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (recipe, run, stage, class)) WITHOUT ROWID""")
    db.execute("""CREATE TRIGGER entries_keep_balances AFTER INSERT ON entries BEGIN
        INSERT OR IGNORE INTO balances (recipe, run, stage, class) VALUES (NEW.recipe, NEW.run, NEW.stage, NEW.class);
        UPDATE balances SET
            settled = settled + iif(NEW.kind IN ('settled', 'reconciled', 'correction'), NEW.nanodollars, 0),
            lost = lost + iif(NEW.kind = 'lost', NEW.nanodollars, 0) - iif(NEW.kind = 'reconciled', NEW.frees, 0),
            open = open + iif(NEW.kind = 'reserved', NEW.nanodollars, 0) - iif(NEW.kind = 'reconciled', 0, NEW.frees),
            attempts = attempts + (NEW.kind = 'reserved'),
            pending = pending + (NEW.kind = 'reserved') - (NEW.kind IN ('settled', 'released', 'lost') AND EXISTS (
                SELECT 1 FROM entries WHERE request = NEW.request AND attempt = NEW.attempt
                AND machine = NEW.machine AND kind = 'reserved')),
            answered = answered + (NEW.kind = 'settled')
        WHERE recipe = NEW.recipe AND run = NEW.run AND stage = NEW.stage AND class = NEW.class; END""")


def batches(db: sqlite3.Connection) -> None:
    """What was handed to a provider as a file: the intent before anything is sent, then what became of it. `address`: of
    the provider; `provider`: its own id of the file (event uploaded) or of the batch (event created)."""
    db.execute("""CREATE TABLE batches (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, intent TEXT NOT NULL, event TEXT NOT NULL,
        recipe TEXT NOT NULL, run TEXT NOT NULL, stage TEXT NOT NULL, address TEXT NOT NULL, teacher TEXT NOT NULL,
        provider TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '')""")
    _append_only(db, "batches", "id = NEW.id OR (intent = NEW.intent AND event = NEW.event)")
    db.execute("""CREATE TRIGGER batches_are_known BEFORE INSERT ON batches
        WHEN NEW.event NOT IN ('intended', 'uploaded', 'created', 'collected', 'abandoned')
        BEGIN SELECT RAISE(ABORT, 'an event of an unknown kind'); END""")
    db.execute("CREATE INDEX batches_by_intent ON batches (intent, event)")
    db.execute("CREATE INDEX batches_by_recipe ON batches (recipe, event)")
    db.execute("""CREATE TABLE batch_requests (
        intent TEXT NOT NULL, request TEXT NOT NULL, attempt INTEGER NOT NULL, machine TEXT NOT NULL,
        asked TEXT NOT NULL, PRIMARY KEY (request, attempt, machine)) WITHOUT ROWID""")
    _append_only(
        db,
        "batch_requests",
        "request = NEW.request AND attempt = NEW.attempt AND machine = NEW.machine",
    )
    db.execute("CREATE INDEX batch_requests_by_intent ON batch_requests (intent)")


def beats(db: sqlite3.Connection) -> None:
    """Signs of life of a rented machine: a lease that a kill has cut is closed at its last one."""
    db.execute("""CREATE TABLE beats (
        id INTEGER PRIMARY KEY, lease TEXT NOT NULL, at TEXT NOT NULL, phase TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT '')""")
    _append_only(db, "beats", "id = NEW.id")
    db.execute("CREATE INDEX beats_by_lease ON beats (lease, id)")


def shares(db: sqlite3.Connection) -> None:
    """A part of the budget that another machine may spend: lent here it is an entry that counts like a reservation and is
    no attempt; what became of it, there and here, are events."""
    db.execute("""CREATE TABLE shares (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, share TEXT NOT NULL, event TEXT NOT NULL, recipe TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT '{}')""")
    _append_only(db, "shares", "id = NEW.id OR (share = NEW.share AND event = NEW.event)")
    db.execute("""CREATE TRIGGER shares_are_known BEFORE INSERT ON shares
        WHEN NEW.event NOT IN ('lent', 'packed', 'returned', 'given up', 'received', 'closed')
        BEGIN SELECT RAISE(ABORT, 'an event of an unknown kind'); END""")
    db.execute("ALTER TABLE balances ADD COLUMN lent INTEGER NOT NULL DEFAULT 0")  # a part of open
    for trigger in ("entries_are_known", "entries_free_what_was_reserved", "entries_keep_balances"):
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("""CREATE TRIGGER entries_are_known BEFORE INSERT ON entries
        WHEN NEW.kind NOT IN ('reserved', 'lent', 'settled', 'released', 'lost', 'reconciled', 'correction', 'anomaly')
          OR NEW.class NOT IN ('api', 'machine', 'gpu', 'energy', 'storage', 'egress', 'human')
        BEGIN SELECT RAISE(ABORT, 'an entry of an unknown kind or class'); END""")
    db.execute("""CREATE TRIGGER entries_free_what_was_reserved BEFORE INSERT ON entries
        WHEN NEW.frees <> COALESCE(
            (SELECT nanodollars FROM entries WHERE request = NEW.request AND attempt = NEW.attempt
             AND machine = NEW.machine AND (kind = CASE WHEN NEW.kind = 'reconciled' THEN 'lost' END
                OR (NEW.kind IN ('settled', 'released', 'lost') AND kind IN ('reserved', 'lent')))), 0)
        BEGIN SELECT RAISE(ABORT, 'an entry frees exactly what its attempt has reserved'); END""")
    began = """EXISTS (SELECT 1 FROM entries WHERE request = NEW.request AND attempt = NEW.attempt
                       AND machine = NEW.machine AND kind = '{}')"""
    db.execute(f"""CREATE TRIGGER entries_keep_balances AFTER INSERT ON entries BEGIN
        INSERT OR IGNORE INTO balances (recipe, run, stage, class) VALUES (NEW.recipe, NEW.run, NEW.stage, NEW.class);
        UPDATE balances SET
            settled = settled + iif(NEW.kind IN ('settled', 'reconciled', 'correction'), NEW.nanodollars, 0),
            lost = lost + iif(NEW.kind = 'lost', NEW.nanodollars, 0) - iif(NEW.kind = 'reconciled', NEW.frees, 0),
            open = open + iif(NEW.kind IN ('reserved', 'lent'), NEW.nanodollars, 0)
                   - iif(NEW.kind = 'reconciled', 0, NEW.frees),
            lent = lent + iif(NEW.kind = 'lent', NEW.nanodollars, 0)
                   - iif(NEW.kind <> 'reconciled' AND NEW.frees <> 0 AND {began.format("lent")}, NEW.frees, 0),
            attempts = attempts + (NEW.kind = 'reserved'),
            pending = pending + (NEW.kind = 'reserved') - (NEW.kind IN ('settled', 'released', 'lost')
                                                           AND {began.format("reserved")}),
            answered = answered + (NEW.kind = 'settled')
        WHERE recipe = NEW.recipe AND run = NEW.run AND stage = NEW.stage AND class = NEW.class; END""")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    replies,
    prices,
    entries,
    balances,
    batches,
    beats,
    shares,
)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Brings an open file to the newest version, in one transaction. UserError for a file from the future."""
    if version(db, path) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[
            version(db, path) :
        ]:  # asked again: another process may have been faster
            step(db)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def version(db: sqlite3.Connection, path: Path) -> int:
    number = int(db.execute("PRAGMA user_version").fetchone()[0])
    if number > len(MIGRATIONS):
        raise UserError(
            f"the ledger {path} was written by a newer alpaca-pipe (its version is {number}, "
            f"known here is {len(MIGRATIONS)})",
            "update alpaca-pipe",
        )
    return number


def keep_choices(db: sqlite3.Connection, key: str, packed: bytes) -> None:
    """What a teacher might have said in place of each token of a reply (core/token_choices.py). The table is made when the first
    come: no version, since a ledger without them is as it was."""
    if not has_choices(db):
        db.execute("CREATE TABLE choices (key TEXT PRIMARY KEY, packed BLOB NOT NULL)")
        _append_only(db, "choices", "key = NEW.key")
    db.execute("INSERT INTO choices VALUES (?, ?)", (key, packed))


def has_choices(db: sqlite3.Connection) -> bool:
    named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'choices'"
    return db.execute(named).fetchone() is not None


def _append_only(db: sqlite3.Connection, table: str, same: str) -> None:
    """Refuses UPDATE, DELETE, and a row that is there already (else INSERT OR REPLACE would be a quiet DELETE)."""
    for verb in ("UPDATE", "DELETE"):
        db.execute(f"""CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} is append-only: a correction is a new row'); END""")
    db.execute(f"""CREATE TRIGGER {table}_refuse_twice BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
        BEGIN SELECT RAISE(ABORT, '{table} holds this already: nothing is written twice'); END""")
