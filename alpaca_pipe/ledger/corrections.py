"""`alpaca-pipe ledger correct`: what an attempt truly cost, where its figures were not believed, by a row of its own with a
reason and its evidence. Nothing that stands in the ledger is changed."""

from __future__ import annotations

import re
import sqlite3
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.ledger.store.journal import Journal, enter

_NAME = re.compile(r"(r1-[0-9a-f]{32})(?:\.(\d{1,9})\.([\w-]{1,64}))?")
_CORRECTS = re.compile(r"corrects (\S+): ")
_CURE = "`alpaca-pipe ledger --jsonl FILE` writes every attempt with its name: r1-...NUMBER.MACHINE"


@dataclass(frozen=True)
class Corrected:
    """name: of the attempt.  before, now: nano-dollars."""

    name: str
    before: int
    now: int


def correct(journal: Journal, named: str, cost: int, reason: str, evidence: str) -> Corrected:
    """Enters that an attempt (or a request with one billed attempt) cost so many nano-dollars. evidence: a file, whose
    digest is kept, or words: an invoice's number, an address. Raises UserError."""
    found = _NAME.fullmatch(named)
    if found is None:
        raise UserError(f"'{named[:60]}' is not an attempt", _CURE)
    if not reason.strip() or not evidence.strip():
        raise UserError(
            "a correction has a reason and its evidence",
            "use --reason 'usage was true' --evidence invoice.pdf (or its number)",
        )
    if holds_a_key(reason + " " + evidence):
        raise UserError("the reason or the evidence holds a key", "leave it out: it would be kept")
    shown_by = evidence.strip()
    if Path(shown_by).is_file():
        shown_by = f"{Path(shown_by).name} sha256 {file_digest(Path(shown_by))}"

    def work(db: sqlite3.Connection) -> Corrected:
        attempt = _attempt(db, found[1], found[2], found[3])
        kinds = _kinds(db, attempt)
        note = f"corrects {attempt.name}: {reason.strip()}; evidence: {shown_by}"
        if not kinds.keys() & {"settled", "released", "lost"}:
            raise UserError(f"{attempt.name} is still open", "wait for its end, then correct it")
        if "lost" in kinds and "reconciled" not in kinds:
            lost = replace(attempt, ceiling=kinds["lost"])
            enter(db, lost, "reconciled", cost, note=note)
            return Corrected(attempt.name, kinds["lost"], cost)
        before = sum(kinds.get(kind, 0) for kind in ("settled", "reconciled", "correction"))
        before += _later(db, attempt)
        if cost == before:
            raise UserError(
                f"{attempt.name} stands at ${exactly(before)} already",
                "there is nothing to correct",
            )
        row = attempt
        if (
            "correction" in kinds
        ):  # an attempt has one row of a kind: the next has a name of its own
            row = replace(attempt, request=f"correction-{uuid.uuid4().hex[:16]}", number=1)
        enter(db, row, "correction", cost - before, note=note)
        return Corrected(attempt.name, before, cost)

    return journal.write(work).result()


def _attempt(
    db: sqlite3.Connection, request: str, number: str | None, machine: str | None
) -> Attempt:
    rows = db.execute(
        """SELECT machine, recipe, run, stage, request, attempt, nanodollars, COALESCE(price, '') FROM entries AS e
           WHERE kind = 'reserved' AND class = 'api' AND request = ?1 AND (?2 IS NULL OR (attempt = ?2 AND machine = ?3))
           AND (?2 IS NOT NULL OR EXISTS (SELECT 1 FROM entries WHERE request = e.request AND attempt = e.attempt
                AND machine = e.machine AND kind IN ('settled', 'lost')))""",
        (request, None if number is None else int(number), machine),
    ).fetchall()
    if not rows:
        raise UserError(f"the ledger has no billed attempt {request}", _CURE)
    attempts = [Attempt(*row) for row in rows]
    if len(attempts) > 1:
        names = ", ".join(attempt.name for attempt in attempts)
        raise UserError(f"{request} was billed {len(attempts)} times: {names}", "name one of them")
    return attempts[0]


def _kinds(db: sqlite3.Connection, attempt: Attempt) -> dict[str, int]:
    return dict(
        db.execute(
            "SELECT kind, nanodollars FROM entries WHERE request = ? AND attempt = ? AND machine = ?",
            (attempt.request, attempt.number, attempt.machine),
        ).fetchall()
    )


def _later(db: sqlite3.Connection, attempt: Attempt) -> int:
    """What corrections after the first have added."""
    rows = db.execute(
        "SELECT note, nanodollars FROM entries WHERE kind = 'correction' AND request GLOB 'correction-*' AND recipe = ?",
        (attempt.recipe,),
    )
    return sum(
        amount
        for note, amount in rows.fetchall()
        if (found := _CORRECTS.match(note)) and found[1] == attempt.name
    )
