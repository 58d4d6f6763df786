"""The journal: every request and every stretch of machine time is a row, a reply and its cost are one transaction.

SQLite, append-only. One thread writes (writer.py); reads go over a connection of their own and never wait for an fsync.
What writes answers a Future: `.result()` in plain code, `await asyncio.wrap_future(...)` in a coroutine.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical
from alpaca_pipe.core.text import whole
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt, Class, Kind, LedgerEntry, Short, Totals
from alpaca_pipe.ledger.pricing.token_prices import CLASSES
from alpaca_pipe.ledger.store import connection
from alpaca_pipe.ledger.store.balance import STILL_OPEN, SUMS, kept_and_summed
from alpaca_pipe.ledger.store.migrations import keep_choices
from alpaca_pipe.ledger.store.writer import Writer

T = TypeVar("T")
_PASSED = (
    "a cap is passed by another request's excess, so this one counts at its ceiling until `alpaca-pipe ledger reconcile` "
    "or `ledger correct` enters what it cost"
)
_COLUMNS = [field.name for field in fields(LedgerEntry)]  # in the order of the table


class Dated(Protocol):
    """What something costs, as it is kept beside the entries that name it: a token price, an hourly rate."""

    @property
    def id(self) -> str: ...

    def to_row(self) -> dict[str, Any]: ...


class Journal:
    """An open ledger. Several processes may hold the same file; every write is one short transaction."""

    def __init__(
        self, path: Path, reader: sqlite3.Connection, writer: Writer | None, mode: str
    ) -> None:
        self.path = path
        self.mode = mode  # "wal", "delete" where the file system cannot carry WAL, or "read-only"
        self._reader, self._reading = reader, Lock()
        self._writer = writer
        self.machine = connection.ledger_id(reader)  # that names the entries made here

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> Journal:
        """Opens or makes the ledger at `path`, and holds its balances against its entries. Raises UserError."""
        try:
            if read_only:
                journal = cls(path, connection.read_only(path), None, "read-only")
            else:
                db, mode = connection.writable(path)
                journal = cls(path, connection.connected(path), Writer(db, path), mode)
        except (sqlite3.Error, OSError) as error:
            raise connection.explained(error, path) from error
        try:
            journal.check()
        except UserError:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """Finishes what is being written and lets go of the file."""
        with self._reading:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    # ---- the life of an attempt

    def reserve(
        self,
        key: str,
        ceiling: int,
        price: Dated,
        caps: Caps,
        *,
        recipe: str,
        run: str,
        stage: str,
        class_: Class = "api",
    ) -> Future[Attempt | Short | Completion]:
        """Opens the next attempt at a request if its ceiling (nano-dollars) fits below every cap. Answers Short if it
        does not, and the stored reply if there is one by now: what is stored is never bought again."""

        def work(db: sqlite3.Connection) -> Attempt | Short | Completion:
            stored = _stored(db, key)
            if stored is not None:
                return stored
            for cap in caps.over(class_):
                held = totals_of(db, None if cap.everywhere else recipe, cap.run, class_=cap.class_)
                if ceiling > cap.left(held):
                    waiting = totals_of(db, recipe=recipe, run=run, class_=class_).pending > 0
                    return cap.refusal(held, ceiling, waiting)
            keep_price(db, price)
            last = (
                db.execute("SELECT MAX(attempt) FROM entries WHERE request = ?", (key,)).fetchone()[
                    0
                ]
                or 0
            )
            attempt = Attempt(self.machine, recipe, run, stage, key, last + 1, ceiling, price.id)
            enter(db, attempt, "reserved", ceiling, class_=class_)
            return attempt

        return self.write(work)

    def settle(
        self,
        attempt: Attempt,
        completion: Completion,
        cost: int,
        *,
        request: Request,
        teacher: Mapping[str, Any],
        note: str = "",
        anomaly: str = "",
        caps: Caps | None = None,
    ) -> Future[Completion]:
        """The reply and its cost (nano-dollars), in one transaction; answers the reply that is stored now. One that
        another process stored first stays, so that both make the same rows; the cost is entered either way.
        `anomaly`: a sentence for a row of its own.  `caps`: of costs above their reservation, only one may carry the books
        past a cap, so that spent <= cap + one request's excess whatever is in flight; the others count at their ceiling."""

        def work(db: sqlite3.Connection) -> Completion:
            counted, odd = cost, anomaly
            if caps and cost > attempt.ceiling and _is_passed(db, caps, attempt):
                counted, odd = attempt.ceiling, "; ".join(filter(None, [anomaly, _PASSED]))
            first = _stored(db, attempt.request)
            if first is None:
                db.execute(
                    f"INSERT INTO replies VALUES ({', '.join('?' * 13)})",
                    (
                        attempt.request,
                        completion.text,
                        completion.finish,
                        *(getattr(completion.usage, name) for name in CLASSES),
                        completion.model_said,
                        completion.fingerprint,
                        canonical(request.asked()),
                        canonical(dict(teacher)),
                        now(),
                    ),
                )
                if completion.choices:
                    keep_choices(db, attempt.request, completion.choices)
            enter(db, attempt, "settled", counted, usage=asdict(completion.usage), note=note)
            if odd:
                enter(db, attempt, "anomaly", 0, note=odd)
            return (
                replace(first, from_store=False) if first else completion
            )  # paid for by this attempt too

        return self.write(work)

    def release(self, attempt: Attempt, note: str = "") -> Future[None]:
        """The attempt cost nothing: it never left, or was answered with an error."""
        return self.write(lambda db: enter(db, attempt, "released", 0, note=note))

    def lose(self, attempt: Attempt, note: str = "") -> Future[None]:
        """The attempt was sent and nobody knows how it ended: it counts at its ceiling until reconciled."""
        return self.write(lambda db: enter(db, attempt, "lost", attempt.ceiling, note=note))

    def give_up(self, attempt: Attempt, note: str = "") -> Future[bool]:
        """Nobody waits for its outcome any more, so it is lost; answers whether. Not what lies with a provider as a batch,
        which is collected later, nor what was still to be put into one, which was never sent."""
        return self.write(lambda db: _give_up(db, attempt, note))

    def recover(self, recipe: str) -> int:
        """Gives up what dead runs of a recipe left open; answers how many of it are lost. Hold the recipe's lock."""

        def work(db: sqlite3.Connection) -> int:
            left = db.execute(
                f"""SELECT machine, recipe, run, stage, request, attempt, nanodollars, price FROM entries AS e
                   WHERE kind = 'reserved' AND class = 'api' AND recipe = ?1
                   AND run IN (SELECT run FROM balances WHERE recipe = ?1 AND pending > 0)
                   AND {STILL_OPEN}""",
                (recipe,),
            ).fetchall()
            return sum(
                _give_up(db, Attempt(*row), "its run ended before the outcome was known")
                for row in left
            )

        return self.write(work).result() if self.totals(recipe).pending else 0

    def unfinished(self) -> list[str]:
        """The recipes with attempts that are open: those of a run under way, and of dead ones."""
        with self.read() as db:
            return [
                recipe
                for (recipe,) in db.execute(
                    "SELECT DISTINCT recipe FROM balances WHERE class = 'api' AND pending > 0 ORDER BY recipe"
                )
            ]

    # ---- reading

    def stored(self, key: str) -> Completion | None:
        """The reply to a request that was paid for before, marked from_store; None if it was never answered."""
        with self.read() as db:
            return _stored(db, key)

    def totals(
        self,
        recipe: str | None = None,
        run: str | None = None,
        stage: str | None = None,
        class_: Class | None = None,
    ) -> Totals:
        """Sums from the running balances, not from the journal: cheap enough for a progress line."""
        with self.read() as db:
            return totals_of(db, recipe, run, stage, class_)

    def entries_of(self, key: str) -> list[LedgerEntry]:
        """Every row of one request, oldest first."""
        with self.read() as db:
            return [
                entry_of(row)
                for row in db.execute("SELECT * FROM entries WHERE request = ? ORDER BY id", (key,))
            ]

    def entries(self, recipe: str | None = None, run: str | None = None) -> Iterator[LedgerEntry]:
        """The journal in its order, read a thousand rows at a time."""
        after = 0
        while True:
            with self.read() as db:
                rows = db.execute(
                    """SELECT * FROM entries WHERE id > ?1 AND (?2 IS NULL OR recipe = ?2) AND (?3 IS NULL OR run = ?3)
                       ORDER BY id LIMIT 1000""",
                    (after, recipe, run),
                ).fetchall()
            if not rows:
                return
            yield from map(entry_of, rows)
            after = rows[-1][0]

    def reply_row(self, key: str) -> dict[str, Any] | None:
        """All that is kept of one reply, for `trace`: text, finish, usage, what was asked of whom, price, nano-dollars
        over all attempts (`settled`, `lost`). None if there is no reply."""
        with self.read() as db, closing(db.cursor()) as cursor:
            cursor.row_factory = sqlite3.Row
            found = cursor.execute("SELECT * FROM replies WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            price = cursor.execute(
                """SELECT prices.price AS price FROM entries JOIN prices ON prices.id = entries.price
                WHERE request = ? AND kind = 'settled' ORDER BY entries.id LIMIT 1""",
                (key,),
            ).fetchone()
        row = dict(found)
        usage = {name: row.pop(name) for name in CLASSES}
        entries = self.entries_of(key)
        return row | {
            "request": json.loads(row["request"]),
            "teacher": json.loads(row["teacher"]),
            "usage": usage,
            "price": json.loads(price["price"]) if price else None,
            "settled": sum(
                e.nanodollars for e in entries if e.kind in ("settled", "reconciled", "correction")
            ),
            "lost": sum(e.nanodollars for e in entries if e.kind == "lost")
            - sum(e.frees for e in entries if e.kind == "reconciled"),
        }

    def check(self) -> None:
        """Holds the running balances against the sum of the journal. Raises UserError where they differ."""
        with self.read() as db:
            kept, summed = kept_and_summed(db)
        if kept != summed:
            raise UserError(
                f"the balances of the ledger {self.path} do not match its entries (kept {kept}, "
                f"summed {summed} nano-dollars settled, lost, open)",
                "keep the file: the entries are the record; put a copy back or start a new workspace",
            )

    # ---- for the rooms that keep books of their own in this file: batches, leases

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The reading connection, for one short look."""
        with self._reading:
            try:
                yield self._reader
            except sqlite3.Error as error:
                raise connection.explained(error, self.path) from error

    def write(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """One piece of work, whole or not at all, on the disk when its Future answers."""
        if self._writer is None:
            raise RuntimeError("this ledger was opened to be read")
        return self._writer.submit(work)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def enter(
    db: sqlite3.Connection,
    attempt: Attempt,
    kind: Kind,
    nanodollars: int,
    *,
    class_: Class = "api",
    usage: Mapping[str, Any] | None = None,
    note: str = "",
) -> None:
    frees = attempt.ceiling if kind in ("settled", "released", "lost", "reconciled") else 0
    db.execute(
        f"INSERT INTO entries VALUES (NULL, {', '.join('?' * 14)})",
        (
            now(),
            attempt.machine,
            attempt.recipe,
            attempt.run,
            attempt.stage,
            attempt.request,
            attempt.number,
            kind,
            class_,
            nanodollars,
            frees,
            canonical(dict(usage)) if usage else None,
            attempt.price or None,
            whole(note),
        ),
    )


def _give_up(db: sqlite3.Connection, attempt: Attempt, note: str) -> bool:
    batch = db.execute(
        """SELECT EXISTS (SELECT 1 FROM batches WHERE intent = b.intent AND event IN ('collected', 'abandoned'))
           FROM batch_requests AS b WHERE request = ? AND attempt = ? AND machine = ?""",
        (attempt.request, attempt.number, attempt.machine),
    ).fetchone()
    if (
        batch is None
        and db.execute(
            "SELECT 1 FROM prices WHERE id = ? AND json_extract(price, '$.mode') = 'batch'",
            (attempt.price,),
        ).fetchone()
    ):
        enter(db, attempt, "released", 0, note="it was not in a batch yet")
    elif batch is None or batch[0]:
        enter(db, attempt, "lost", attempt.ceiling, note=note)
        return True
    return False


def _is_passed(db: sqlite3.Connection, caps: Caps, attempt: Attempt) -> bool:
    """Whether what is spent and reserved is above a cap already."""
    return any(
        cap.left(
            totals_of(db, None if cap.everywhere else attempt.recipe, cap.run, class_=cap.class_)
        )
        < 0
        for cap in caps.over("api")
    )


def keep_price(db: sqlite3.Connection, price: Dated) -> None:
    """The price itself, beside the entries that name it."""
    if not db.execute("SELECT 1 FROM prices WHERE id = ?", (price.id,)).fetchone():
        db.execute("INSERT INTO prices VALUES (?, ?)", (price.id, canonical(price.to_row())))


def entry_of(row: tuple[Any, ...]) -> LedgerEntry:
    """A row of the table, its columns in their order."""
    values = dict(zip(_COLUMNS, row, strict=True))
    values["usage"] = json.loads(values["usage"] or "{}")
    return LedgerEntry(**values | {"price": values["price"] or ""})


def _stored(db: sqlite3.Connection, key: str) -> Completion | None:
    row = db.execute(
        f"SELECT text, finish, model_said, fingerprint, {', '.join(CLASSES)} FROM replies WHERE key = ?",
        (key,),
    ).fetchone()
    if row is None:
        return None
    return Completion(row[0], row[1], Usage(*row[4:]), key, row[2], row[3], from_store=True)


def totals_of(
    db: sqlite3.Connection,
    recipe: str | None = None,
    run: str | None = None,
    stage: str | None = None,
    class_: Class | None = None,
) -> Totals:
    """Sums from the running balances, for a transaction that is about to add to them."""
    given = {"recipe": recipe, "run": run, "stage": stage, "class": class_}
    where = " AND ".join(f"{name} = ?" for name, value in given.items() if value is not None)
    row = db.execute(
        f"""SELECT {SUMS}, SUM(iif(class = 'api', answered, 0)), SUM(iif(class = 'api', attempts, 0)),
                         SUM(pending), SUM(lent) FROM balances WHERE {where or "TRUE"}""",
        [value for value in given.values() if value is not None],
    ).fetchone()
    return Totals(*(amount or 0 for amount in row))
