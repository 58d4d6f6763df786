"""The books of batches: which requests went to a provider in one file, and what became of it.

The intent and its lines are on the disk before anything is sent, so that a batch can be found again whenever we die.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alpaca_pipe.core.completion import PromptMessage, Request
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.store.journal import Journal, now

Event = Literal["intended", "uploaded", "created", "collected", "abandoned"]

_OPEN = """FROM batches AS b WHERE event = 'intended' AND recipe = ? AND NOT EXISTS (
           SELECT 1 FROM batches WHERE intent = b.intent AND event IN ('collected', 'abandoned'))"""
_ENDED = """EXISTS (SELECT 1 FROM entries WHERE request = l.request AND attempt = l.attempt AND machine = l.machine
                    AND kind IN ('settled', 'released', 'lost'))"""


_GUESSED = "found by its size and its time"


@dataclass(frozen=True)
class Intent:
    """One batch, from before it exists. `file`, `batch`: the provider's ids, as far as they are known. guessed: nothing but its size
    and its time says that this batch is ours."""

    id: str
    at: str  # UTC, ISO 8601
    recipe: str
    run: str
    stage: str
    address: str
    teacher: Mapping[str, Any] = field(repr=False)  # the identity that its requests were asked of
    file: str = ""
    batch: str = ""
    guessed: bool = False


@dataclass(frozen=True)
class BatchLine:
    """One request of a batch, with the attempt that was reserved for it."""

    attempt: Attempt
    request: Request
    ended: bool  # its reply, or that it cost nothing, is in the journal


class BatchJobs:
    """The batches in a journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def intend(
        self,
        lines: Sequence[tuple[str, Request]],
        *,
        recipe: str,
        run: str,
        stage: str,
        address: str,
        teacher: Mapping[str, Any],
    ) -> Future[Intent]:
        """Enters that these requests, by the names of their attempts, are about to be sent in one file."""
        intent = Intent(f"b1-{uuid.uuid4().hex}", now(), recipe, run, stage, address, teacher)
        rows = [(intent.id, *_parts(name), canonical(request.asked())) for name, request in lines]

        def work(db: sqlite3.Connection) -> Intent:
            db.executemany("INSERT INTO batch_requests VALUES (?, ?, ?, ?, ?)", rows)
            _enter(db, intent, "intended", note=f"{len(rows)} requests")
            return intent

        return self._journal.write(work)

    def enter(
        self,
        intent: Intent,
        event: Event,
        provider: str = "",
        note: str = "",
        guessed: bool = False,
    ) -> Future[Intent]:
        """Enters what became of it, once; answers the intent with the id that the provider gave."""
        note = _GUESSED if guessed else note

        def work(db: sqlite3.Connection) -> Intent:
            if not db.execute(
                "SELECT 1 FROM batches WHERE intent = ? AND event = ?", (intent.id, event)
            ).fetchone():
                _enter(db, intent, event, provider, note)
            if event == "uploaded":
                return replace(intent, file=provider)
            if event == "created":
                return replace(intent, batch=provider, guessed=guessed)
            return intent

        return self._journal.write(work)

    def open(self, recipe: str) -> list[Intent]:
        """What runs of a recipe have begun and not brought to its end, oldest first."""
        with self._journal.read() as db:
            rows = db.execute(
                f"SELECT intent, at, recipe, run, stage, address, teacher {_OPEN} ORDER BY id",
                (recipe,),
            ).fetchall()
            ids = {
                (intent, event): (provider, note == _GUESSED)
                for intent, event, provider, note in db.execute(
                    f"""SELECT intent, event, provider, note FROM batches WHERE event IN ('uploaded', 'created')
                    AND intent IN (SELECT intent {_OPEN})""",
                    (recipe,),
                )
            }
        return [
            Intent(
                id,
                at,
                recipe,
                run,
                stage,
                address,
                json.loads(teacher),
                ids.get((id, "uploaded"), ("", False))[0],
                *ids.get((id, "created"), ("", False)),
            )
            for id, at, recipe, run, stage, address, teacher in rows
        ]

    def has(self, batch: str) -> bool:
        """Whether a batch of that id is in the books, of whatever intent."""
        with self._journal.read() as db:
            row = db.execute(
                "SELECT 1 FROM batches WHERE event = 'created' AND provider = ?", (batch,)
            ).fetchone()
        return row is not None

    def lines(self, intent: Intent) -> list[BatchLine]:
        """Its requests, in no particular order."""
        with self._journal.read() as db:
            rows = db.execute(
                f"""SELECT e.machine, e.recipe, e.run, e.stage, e.request, e.attempt, e.nanodollars, e.price, l.asked, {_ENDED}
                    FROM batch_requests AS l JOIN entries AS e ON e.request = l.request AND e.attempt = l.attempt
                    AND e.machine = l.machine AND e.kind = 'reserved' WHERE l.intent = ?""",
                (intent.id,),
            ).fetchall()
        return [
            BatchLine(Attempt(*row[:8]), request_of(json.loads(row[8])), bool(row[9]))
            for row in rows
        ]

    def unended(self, intent: Intent) -> int:
        """How many of its requests have no end in the journal yet."""
        with self._journal.read() as db:
            return int(
                db.execute(
                    f"SELECT COUNT(*) FROM batch_requests AS l WHERE intent = ? AND NOT {_ENDED}",
                    (intent.id,),
                ).fetchone()[0]
            )


def _enter(
    db: sqlite3.Connection, intent: Intent, event: Event, provider: str = "", note: str = ""
) -> None:
    db.execute(
        "INSERT INTO batches VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            intent.at if event == "intended" else now(),
            intent.id,
            event,
            intent.recipe,
            intent.run,
            intent.stage,
            intent.address,
            canonical(dict(intent.teacher)),
            provider,
            note,
        ),
    )


def _parts(name: str) -> tuple[str, int, str]:
    """Request key, number and machine of an attempt's name."""
    key, number, machine = name.rsplit(".", 2)
    return key, int(number), machine


def request_of(asked: Mapping[str, Any]) -> Request:
    """What was asked, as it is kept beside a reply or a line of a batch."""
    return Request(
        tuple(PromptMessage(role, content) for role, content in asked["messages"]),
        asked["decoding"],
        asked["sample"],
    )
