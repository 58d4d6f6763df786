"""How the ledger's file is opened, and what is said when disk or file do not behave."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir, private_folder, write_atomic
from alpaca_pipe.core.screen import echo
from alpaca_pipe.ledger.store.migrations import MIGRATIONS, migrate, version

_PATIENCE = 30.0  # seconds to wait for another process that is writing
SAID_FROM = 5.0  # seconds of that wait, after which it is told


def machine_id() -> str:
    """A random name for this machine, made once and kept in the cache: merging two ledgers is then a union."""
    file = cache_dir() / "machine"
    try:
        if not file.exists():
            write_atomic(file, uuid.uuid4().hex[:12])
        return file.read_text().strip()
    except OSError:
        return f"{uuid.getnode():012x}"  # no cache to write to: the network card's number has to do


def ledger_id(db: sqlite3.Connection) -> str:
    """The name under which a ledger's own entries are made: the machine's, and in a workspace that was unpacked what was drawn
    then too, so that two workspaces of one machine, or two machines of one image, are two, with one pack as well."""
    row = db.execute(
        "SELECT share, detail FROM shares WHERE event = 'received' ORDER BY id LIMIT 1"
    ).fetchone()
    if row is None:
        return machine_id()
    drawn: str = (
        json.loads(row[1]).get("drawn") or row[0].removeprefix("share-")[:6]
    )  # the latter of before 2026-11-30
    return f"{machine_id()}-{drawn}"


def same_machine(one: str, other: str) -> bool:
    """Whether two ledgers' names are of one machine."""
    return one.partition("-")[0] == other.partition("-")[0]


def connected(name: Path | str, patience: float = _PATIENCE) -> sqlite3.Connection:
    """A connection for any one thread at a time, that begins and ends its transactions itself. `name`: path or URI."""
    return sqlite3.connect(
        name, patience, isolation_level=None, check_same_thread=False, uri=isinstance(name, str)
    )


def writable(path: Path) -> tuple[sqlite3.Connection, str]:
    """The ledger at `path`, made or brought up to date, and its mode: "wal", or "delete" (a rollback journal) where the
    file system cannot carry WAL."""
    private_folder(path.parent)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            if not path.exists():
                _make(path)
            return _opened(path)
        except sqlite3.OperationalError as error:
            if not is_held(error) or time.monotonic() > until:
                raise
            tell_of_wait(path)


def is_held(error: sqlite3.Error) -> bool:
    """Whether another process holds the file."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def tell_of_wait(path: Path) -> None:
    echo(f"waiting for the ledger {path}, to which another process is writing", err=True)


def _make(path: Path) -> None:
    """A new ledger gets its name when all its tables are in it: who looks beside a run that begins sees none, or a whole one.
    Where the file system has no hard links, or another process was faster, nothing is made here."""
    unfinished = path.with_name(
        f".{path.name}.{secrets.token_hex(4)}"
    )  # as core/files.py: gc knows it
    try:
        with closing(connected(unfinished)) as db:
            migrate(db, path)
        with suppress(OSError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _opened(path: Path) -> tuple[sqlite3.Connection, str]:
    db = connected(path, SAID_FROM)
    try:
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    except sqlite3.OperationalError as error:  # some network file systems have no shared memory
        if error.sqlite_errorcode not in (
            sqlite3.SQLITE_PROTOCOL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CANTOPEN,
        ):
            raise
        mode = db.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    db.execute("PRAGMA synchronous = FULL")
    migrate(db, path)
    return db, mode


def read_only(path: Path) -> sqlite3.Connection:
    """The ledger at `path` as it is. UserError where there is none, or where it must be brought up to date first."""
    if not path.exists():
        raise UserError(f"there is no ledger at {path}", "run a recipe in this workspace first")
    if not path.stat().st_size:
        raise UserError(f"the ledger {path} is empty: it is not one any more", "put a copy back")
    for how in (
        "mode=ro",
        "immutable=1",
    ):  # the second for a folder where SQLite may not make its helper files
        db = connected(f"{path.resolve().as_uri()}?{how}")
        try:
            if version(db, path) < len(MIGRATIONS):
                raise UserError(
                    f"the ledger {path} was written by an older alpaca-pipe",
                    "run any recipe in its workspace once: that brings the ledger up to date",
                )
            return db
        except sqlite3.OperationalError as error:
            failed = error
            db.close()
        except BaseException:
            db.close()  # one that is left open keeps SQLite from mending what a killed writer left
            raise
    raise failed


def explained(error: sqlite3.Error | OSError, path: Path) -> UserError:
    """What the disk or SQLite said, as one sentence and its cure."""
    name = getattr(error, "sqlite_errorname", "")
    if isinstance(error, OSError):
        return UserError(
            f"the folder of the ledger {path} cannot be used: {error.strerror}",
            "choose a workspace that you may write to",
        )
    if name == "SQLITE_FULL":
        return UserError(
            f"the disk is full, so the ledger {path} cannot take another entry",
            "free some space and run the same command again: every stored reply is kept",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return UserError(
            f"the ledger {path} cannot be written: {error}",
            "choose a workspace that you may write to",
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return UserError(
            f"{path} is not a ledger, or it is damaged: {error}",
            "move it away (keep it: it is the record of what was paid) or put a copy back",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return UserError(
            f"the ledger {path} is held by another process: {error}",
            "let that process end, or end it",
        )
    return UserError(
        f"the ledger {path} could not be used: {error}",
        "check the disk, then run the same command again",
    )
