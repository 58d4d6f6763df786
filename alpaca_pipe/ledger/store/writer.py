"""The one thread that writes: work that arrives together is committed together, so that many replies share one fsync."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from alpaca_pipe.ledger.store.connection import explained, is_held, tell_of_wait

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
_AT_ONCE = 512  # pieces of work in one commit: keeps another process's wait for the file short
_AS_LONG = 600.0  # seconds for which a file that another process holds is asked for: what waits here may be paid for
_BETWEEN = 0.05  # seconds; SQLite waits by itself, but not where it sees that waiting cannot help


class Writer:
    """Runs work on its connection in the order of arrival, each piece whole or not at all, and commits in groups."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path
        self._queue: SimpleQueue[tuple[Work, Future[Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._starting = Lock()
        self._closed = False

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """The answer of `work`, once it is on the disk. Whoever gives up waiting does not undo the work. It is done anew
        where another process held the file, so it may change nothing but the ledger."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._starting:
            if self._closed:
                raise RuntimeError("the ledger is closed")
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="ledger", daemon=True)
                self._thread.start()
            self._queue.put((work, future))
        return future

    def close(self) -> None:
        """Finishes what was handed in, then closes the connection."""
        with self._starting:
            self._closed = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self._db.close()

    def _serve(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            with contextlib.suppress(Empty):  # what came while the last group was being synced
                while len(batch) < _AT_ONCE:
                    batch.append(self._queue.get_nowait())
            going = None not in batch
            self._commit([item for item in batch if item is not None])

    def _commit(self, batch: list[tuple[Work, Future[Any]]]) -> None:
        until, told = time.monotonic() + _AS_LONG, False
        while True:
            try:
                answers = self._all(batch)
                break
            except sqlite3.Error as error:
                if is_held(error) and time.monotonic() < until:
                    if not told:
                        tell_of_wait(self._path)
                    told = True
                    time.sleep(_BETWEEN)
                    continue
                answers = [(future, None, explained(error, self._path)) for _, future in batch]
                break
        for future, answer, failed in answers:
            if failed is None:
                future.set_result(answer)
            else:
                future.set_exception(failed)

    def _all(
        self, batch: list[tuple[Work, Future[Any]]]
    ) -> list[tuple[Future[Any], Any, BaseException | None]]:
        """A group in one transaction; where that fails, nothing of it is left, or the next begins by taking it back."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            answers = [(future, *self._one(work)) for work, future in batch]
            self._db.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):  # the first failure is the one to tell
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise
        return answers

    def _one(self, work: Work) -> tuple[Any, BaseException | None]:
        """One piece of work: what it wrote goes when it fails, its neighbours stay. A failing disk fails all."""
        self._db.execute("SAVEPOINT piece")
        try:
            answer, failed = work(self._db), None
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
                raise
            answer, failed = None, error
            self._db.execute("ROLLBACK TO piece")
        self._db.execute("RELEASE piece")
        return answer, failed
