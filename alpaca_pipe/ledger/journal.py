"""The journal: every request and every stretch of machine time is a row, a reply and its cost are one transaction.

SQLite, append-only. One thread writes (writer.py); reads go over a connection of their own and never wait for an fsync.
What writes answers a Future: `.result()` in plain code, `await asyncio.wrap_future(...)` in a coroutine.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir, canonical, write_atomic
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt, Class, Kind, LedgerEntry, Short, Totals
from alpaca_pipe.ledger.money import cost_of_time
from alpaca_pipe.ledger.prices import CLASSES, Price
from alpaca_pipe.ledger.schema import MIGRATIONS, migrate, version
from alpaca_pipe.ledger.writer import Writer, explained

_PATIENCE = 30.0  # seconds to wait for another process that is writing
_SUMS = "SUM(settled), SUM(lost), SUM(open)"


class Journal:
    """An open ledger. Several processes may hold the same file; every write is one short transaction."""

    def __init__(self, path: Path, reader: sqlite3.Connection, writer: Writer | None, mode: str) -> None:
        self.path = path
        self.mode = mode  # "wal", or "delete" (a rollback journal) where the file system cannot carry WAL
        self._reader, self._reading = reader, Lock()
        self._writer = writer
        self._machine = machine_id()

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> Journal:
        """Opens or makes the ledger at `path`, and holds its balances against its entries. Raises UserError."""
        try:
            if read_only:
                journal = cls(path, _read_only(path), None, "read-only")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                db, mode = _writable(path)
                journal = cls(path, sqlite3.connect(path, _PATIENCE, isolation_level=None, check_same_thread=False),
                              Writer(db, path), mode)
            journal.check()
            return journal
        except (sqlite3.Error, OSError) as error:
            raise explained(error, path) from error

    def close(self) -> None:
        """Finishes what is being written and lets go of the file."""
        with self._reading:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---- the life of an attempt

    def reserve(self, key: str, ceiling: int, price: Price, caps: Caps, *,
                recipe: str, run: str, stage: str) -> Future[Attempt | Short | Completion]:
        """Opens the next attempt at a request if its ceiling (nano-dollars) fits below every cap. Answers Short if it
        does not, and the stored reply if there is one by now: what is stored is never bought again."""
        def work(db: sqlite3.Connection) -> Attempt | Short | Completion:
            stored = _stored(db, key)
            if stored is not None:
                return stored
            for budget, cap, class_ in caps.over("api"):
                held = _totals(db, recipe=recipe, class_=class_)
                if held.spent + held.open + ceiling > cap:
                    waiting = _totals(db, recipe=recipe, run=run).pending > 0
                    return Short(budget, cap, held.settled, held.lost, held.open, ceiling, waiting)
            if not db.execute("SELECT 1 FROM prices WHERE id = ?", (price.id,)).fetchone():
                db.execute("INSERT INTO prices VALUES (?, ?)", (price.id, canonical(price.to_row())))
            last = db.execute("SELECT MAX(attempt) FROM entries WHERE request = ?", (key,)).fetchone()[0] or 0
            attempt = Attempt(self._machine, recipe, run, stage, key, last + 1, ceiling, price.id)
            _enter(db, attempt, "reserved", ceiling)
            return attempt

        return self._write(work)

    def settle(self, attempt: Attempt, completion: Completion, cost: int, *,
               request: Request, teacher: Mapping[str, Any], note: str = "", anomaly: str = "") -> Future[None]:
        """The reply and its cost (nano-dollars), in one transaction. A reply that another process stored first stays;
        the cost is entered either way. `anomaly`: a sentence for a row of its own."""
        def work(db: sqlite3.Connection) -> None:
            if _stored(db, attempt.request) is None:
                db.execute(f"INSERT INTO replies VALUES ({', '.join('?' * 13)})",
                           (attempt.request, completion.text, completion.finish,
                            *(getattr(completion.usage, name) for name in CLASSES),
                            completion.model_said, completion.fingerprint,
                            canonical(request.asked()), canonical(dict(teacher)), _now()))
            _enter(db, attempt, "settled", cost, usage=asdict(completion.usage), note=note)
            if anomaly:
                _enter(db, attempt, "anomaly", 0, note=anomaly)

        return self._write(work)

    def release(self, attempt: Attempt, note: str = "") -> Future[None]:
        """The attempt cost nothing: it never left, or was answered with an error."""
        return self._write(lambda db: _enter(db, attempt, "released", 0, note=note))

    def lose(self, attempt: Attempt, note: str = "") -> Future[None]:
        """The attempt was sent and nobody knows how it ended: it counts at its ceiling until reconciled."""
        return self._write(lambda db: _enter(db, attempt, "lost", attempt.ceiling, note=note))

    def recover(self, recipe: str) -> int:
        """Enters what dead runs of a recipe left open as lost; answers how many. Hold the recipe's lock."""
        def work(db: sqlite3.Connection) -> int:
            left = db.execute(
                """SELECT machine, recipe, run, stage, request, attempt, nanodollars, price FROM entries AS e
                   WHERE kind = 'reserved' AND recipe = ?1
                   AND run IN (SELECT run FROM balances WHERE recipe = ?1 AND pending > 0)
                   AND NOT EXISTS (SELECT 1 FROM entries WHERE request = e.request AND attempt = e.attempt
                                   AND machine = e.machine AND kind IN ('settled', 'released', 'lost'))""",
                (recipe,)).fetchall()
            for row in left:
                attempt = Attempt(*row)
                _enter(db, attempt, "lost", attempt.ceiling, note="its run ended before the outcome was known")
            return len(left)

        return self._write(work).result() if self.totals(recipe).pending else 0

    def machine_time(self, recipe: str, run: str, stage: str, seconds: float, nanodollars_per_hour: int = 0,
                     note: str = "") -> None:
        """Wall-clock of a stage as a row of class machine; its price is 0 where nobody bills it."""
        span = Attempt(self._machine, recipe, run, stage, f"machine-{uuid.uuid4().hex[:16]}", 1, 0, "")
        cost = cost_of_time(seconds, nanodollars_per_hour)
        self._write(lambda db: _enter(db, span, "settled", cost, class_="machine",
                                      usage={"seconds": round(seconds, 3)}, note=note)).result()

    # ---- reading

    def stored(self, key: str) -> Completion | None:
        """The reply to a request that was paid for before, marked from_store; None if it was never answered."""
        with self._reading:
            return _stored(self._reader, key)

    def totals(self, recipe: str | None = None, run: str | None = None, stage: str | None = None,
               class_: Class | None = None) -> Totals:
        """Sums from the running balances, not from the journal: cheap enough for a progress line."""
        with self._reading:
            return _totals(self._reader, recipe, run, stage, class_)

    def entries_of(self, key: str) -> list[LedgerEntry]:
        """Every row of one request, oldest first."""
        with self._reading:
            return [_entry(row) for row in self._reader.execute(
                "SELECT * FROM entries WHERE request = ? ORDER BY id", (key,))]

    def entries(self, recipe: str | None = None, run: str | None = None) -> Iterator[LedgerEntry]:
        """The journal in its order, read a thousand rows at a time."""
        after = 0
        while True:
            with self._reading:
                rows = self._reader.execute(
                    """SELECT * FROM entries WHERE id > ?1 AND (?2 IS NULL OR recipe = ?2) AND (?3 IS NULL OR run = ?3)
                       ORDER BY id LIMIT 1000""", (after, recipe, run)).fetchall()
            if not rows:
                return
            yield from map(_entry, rows)
            after = rows[-1][0]

    def reply_row(self, key: str) -> dict[str, Any] | None:
        """All that is kept of one reply, for `trace`: text, finish, usage, what was asked of whom, price, nano-dollars
        over all attempts (`settled`, `lost`). None if there is no reply."""
        with self._reading, closing(self._reader.cursor()) as cursor:
            cursor.row_factory = sqlite3.Row
            found = cursor.execute("SELECT * FROM replies WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            price = cursor.execute("""SELECT prices.price AS price FROM entries JOIN prices ON prices.id = entries.price
                WHERE request = ? AND kind = 'settled' ORDER BY entries.id LIMIT 1""", (key,)).fetchone()
        row = dict(found)
        usage = {name: row.pop(name) for name in CLASSES}
        entries = self.entries_of(key)
        return row | {"request": json.loads(row["request"]), "teacher": json.loads(row["teacher"]), "usage": usage,
                      "price": json.loads(price["price"]) if price else None,
                      "settled": sum(e.nanodollars for e in entries if e.kind in ("settled", "reconciled")),
                      "lost": sum(e.nanodollars for e in entries if e.kind == "lost")
                      - sum(e.frees for e in entries if e.kind == "reconciled")}

    def check(self) -> None:
        """Holds the running balances against the sum of the journal. Raises UserError where they differ."""
        with self._reading:
            self._reader.execute("BEGIN")  # one snapshot for both sums
            try:
                kept = self._reader.execute(f"SELECT {_SUMS} FROM balances").fetchone()
                added: dict[str, int] = {}
                freed: dict[str, int] = {}
                for kind, nanodollars, frees in self._reader.execute(
                        "SELECT kind, SUM(nanodollars), SUM(frees) FROM entries GROUP BY kind"):
                    added[kind], freed[kind] = nanodollars, frees
            finally:
                self._reader.execute("COMMIT")
        summed = (sum(added.get(kind, 0) for kind in ("settled", "reconciled", "correction")),
                  added.get("lost", 0) - freed.get("reconciled", 0),
                  added.get("reserved", 0) - sum(freed.get(kind, 0) for kind in ("settled", "released", "lost")))
        if tuple(amount or 0 for amount in kept) != summed:
            raise UserError(f"the balances of the ledger {self.path} do not match its entries (kept {tuple(kept)}, "
                            f"summed {summed} nano-dollars settled, lost, open)",
                            "keep the file: the entries are the record; put a copy back or start a new workspace")

    def _write(self, work: Any) -> Future[Any]:
        if self._writer is None:
            raise RuntimeError("this ledger was opened to be read")
        return self._writer.submit(work)


def machine_id() -> str:
    """A random name for this machine, made once and kept in the cache: merging two ledgers is then a union."""
    file = cache_dir() / "machine"
    try:
        if not file.exists():
            write_atomic(file, uuid.uuid4().hex[:12])
        return file.read_text().strip()
    except OSError:
        return f"{uuid.getnode():012x}"  # no cache to write to: the network card's number has to do


def _writable(path: Path) -> tuple[sqlite3.Connection, str]:
    db = sqlite3.connect(path, _PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    except sqlite3.OperationalError as error:  # some network file systems have no shared memory
        if error.sqlite_errorcode not in (sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            raise
        mode = db.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    db.execute("PRAGMA synchronous = FULL")
    migrate(db, path)
    return db, mode


def _read_only(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise UserError(f"there is no ledger at {path}", "run a recipe in this workspace first")
    for how in ("mode=ro", "immutable=1"):  # the second for a folder where SQLite may not make its helper files
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", _PATIENCE, isolation_level=None,
                             check_same_thread=False, uri=True)
        try:
            if version(db, path) < len(MIGRATIONS):
                raise UserError(f"the ledger {path} was written by an older alpaca-pipe",
                                "run any recipe in its workspace once: that brings the ledger up to date")
            return db
        except sqlite3.OperationalError as error:
            failed = error
            db.close()
    raise failed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _enter(db: sqlite3.Connection, attempt: Attempt, kind: Kind, nanodollars: int, *, class_: Class = "api",
           usage: Mapping[str, Any] | None = None, note: str = "") -> None:
    frees = attempt.ceiling if kind in ("settled", "released", "lost") else 0
    db.execute(f"INSERT INTO entries VALUES (NULL, {', '.join('?' * 14)})",
               (_now(), attempt.machine, attempt.recipe, attempt.run, attempt.stage, attempt.request, attempt.number,
                kind, class_, nanodollars, frees, canonical(dict(usage)) if usage else None, attempt.price or None,
                note))


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    entry = LedgerEntry(*row)
    return replace(entry, usage=json.loads(row[12]) if row[12] else {}, price=row[13] or "")


def _stored(db: sqlite3.Connection, key: str) -> Completion | None:
    row = db.execute(f"SELECT text, finish, model_said, fingerprint, {', '.join(CLASSES)} FROM replies WHERE key = ?",
                     (key,)).fetchone()
    if row is None:
        return None
    return Completion(row[0], row[1], Usage(*row[4:]), key, row[2], row[3], from_store=True)


def _totals(db: sqlite3.Connection, recipe: str | None = None, run: str | None = None, stage: str | None = None,
            class_: Class | None = None) -> Totals:
    given = {"recipe": recipe, "run": run, "stage": stage, "class": class_}
    where = " AND ".join(f"{name} = ?" for name, value in given.items() if value is not None)
    row = db.execute(f"""SELECT {_SUMS}, SUM(iif(class = 'api', answered, 0)), SUM(attempts), SUM(pending)
                         FROM balances WHERE {where or 'TRUE'}""",
                     [value for value in given.values() if value is not None]).fetchone()
    return Totals(*(amount or 0 for amount in row))
