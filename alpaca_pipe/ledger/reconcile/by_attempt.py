"""Line by line: each attempt of ours against what the provider charged for it, to the nano-dollar.

An attempt that is over is final in our books, but for what its provider says later: one row that reconciles what was
lost, one that corrects an amount. A run writes neither, so both may be entered while it goes on.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from alpaca_pipe.ledger.entries import Attempt, Kind
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.ledger.reconcile.provider_exports import ProviderBooks, rounded
from alpaca_pipe.ledger.store.journal import Journal, enter

Finding = Literal[
    "equal",
    "differs",
    "not in their books",
    "lost, billed",
    "lost, not billed",
    "lost, not in their books",
    "still open",
    "unknown to us",
]
FAULTS: tuple[Finding, ...] = ("differs", "not in their books", "unknown to us")


@dataclass(frozen=True, slots=True)
class AttemptComparison:
    """One attempt in both books, in nano-dollars. ours: settled, reconciled and corrected; lost: the ceiling at which
    it counts. writes: the row that would make them equal."""

    name: str
    model: str
    day: str
    finding: Finding
    theirs: int
    ours: int
    lost: int = 0
    writes: Literal["reconciled", "correction", ""] = ""


@dataclass(slots=True)
class _Mine:
    price: str
    began: str
    end: Kind | None = None
    at: str = ""  # when it ended, or was given up
    amount: int = 0
    lost: int = 0


def compare(journal: Journal, books: ProviderBooks, complete: bool) -> list[AttemptComparison]:
    """Every attempt that either side names. complete: the file holds all that was billed on its days, so what is not
    in it was not billed; without that, nothing is concluded from an attempt that is missing there. Nor is it from one
    that lay across the edge of those days: providers may bill it on the day when it began or when it ended."""
    with journal.read() as db:
        db.execute("BEGIN")
        try:
            mine = _mine(db)
            models = dict(
                db.execute("SELECT id, COALESCE(json_extract(price, '$.model'), id) FROM prices")
            )
        finally:
            db.execute("COMMIT")
    theirs: defaultdict[str, Decimal] = defaultdict(Decimal)
    days: dict[str, str] = {}
    for row in books.rows:
        if row.name:
            theirs[row.name] += row.dollars
            days.setdefault(row.name, str(row.day))
    # Other providers' attempts are in other files: only what was bought at a price that this file knows can be missing.
    prices = {mine[name].price for name in theirs if name in mine}
    first, last = _covered(books, complete)
    found = []
    for name, own in mine.items():
        if name in theirs:
            found.append(_both(name, own, rounded(theirs[name]), models))
        elif own.price in prices and own.end is not None and first <= own.began and own.at < last:
            found.append(_ours_alone(name, own, complete, models))
    found += [
        AttemptComparison(name, "", days[name], "unknown to us", rounded(dollars), 0)
        for name, dollars in theirs.items()
        if name not in mine
    ]
    return found


def write(
    journal: Journal, found: list[AttemptComparison], source: str
) -> tuple[Counter[str], frozenset[str]]:
    """Enters what the provider's books say about lost and differing attempts, in one transaction; answers how many rows
    of which kind, and the names of those left as they are because they were corrected once before: an attempt has one
    correction. What was reconciled meanwhile is left alone."""
    wanted = [compared for compared in found if compared.writes]

    def work(db: sqlite3.Connection) -> tuple[Counter[str], frozenset[str]]:
        written: Counter[str] = Counter()
        before = set()
        for compared in wanted:
            attempt = _attempt(db, compared.name)
            same = (attempt.request, attempt.number, attempt.machine, compared.writes)
            if db.execute(
                "SELECT 1 FROM entries WHERE request = ? AND attempt = ? AND machine = ? AND kind = ?",
                same,
            ).fetchone():
                if compared.writes == "correction":
                    before.add(compared.name)
                continue
            reconciling = compared.writes == "reconciled"
            amount = compared.theirs if reconciling else compared.theirs - compared.ours
            enter(
                db,
                attempt,
                "reconciled" if reconciling else "correction",
                amount,
                note=f"{source} says ${exactly(compared.theirs)}"
                + ("" if reconciling else f", we had ${exactly(compared.ours)}"),
            )
            written[compared.writes] += 1
        return written, frozenset(before)

    return journal.write(work).result() if wanted else (Counter(), frozenset())


def _mine(db: sqlite3.Connection) -> dict[str, _Mine]:
    """Every attempt at a teacher by its name."""
    mine: dict[str, _Mine] = {}
    for request, number, machine, kind, amount, price, at in db.execute(
        """SELECT request, attempt, machine, kind, nanodollars, COALESCE(price, ''), at FROM entries
               WHERE class = 'api' AND kind <> 'anomaly' ORDER BY id"""
    ):
        name = f"{request}.{number}.{machine}"
        own = mine.get(name)
        if own is None:
            own = mine[name] = _Mine(price, at)
        if kind in ("settled", "released", "lost"):
            own.end, own.at = kind, at
        if kind in ("settled", "reconciled", "correction"):
            own.amount += amount
        own.lost = amount if kind == "lost" else 0 if kind == "reconciled" else own.lost
        if kind == "reconciled":
            own.end = "reconciled"
    return mine


def _both(name: str, own: _Mine, theirs: int, models: Mapping[str, str]) -> AttemptComparison:
    model, day = models.get(own.price, ""), own.at[:10]
    if own.end is None:
        return AttemptComparison(name, model, day, "still open", theirs, 0)
    if own.end == "lost":
        finding: Finding = "lost, billed" if theirs else "lost, not billed"
        return AttemptComparison(name, model, day, finding, theirs, 0, own.lost, "reconciled")
    if theirs == own.amount:
        return AttemptComparison(name, model, day, "equal", theirs, own.amount)
    return AttemptComparison(name, model, day, "differs", theirs, own.amount, 0, "correction")


def _ours_alone(
    name: str, own: _Mine, complete: bool, models: Mapping[str, str]
) -> AttemptComparison:
    model, day = models.get(own.price, ""), own.at[:10]
    if own.end == "lost":
        finding: Finding = "lost, not billed" if complete else "lost, not in their books"
        return AttemptComparison(
            name, model, day, finding, 0, 0, own.lost, "reconciled" if complete else ""
        )
    if not own.amount:
        return AttemptComparison(name, model, day, "equal", 0, 0)
    return AttemptComparison(
        name, model, day, "not in their books", 0, own.amount, 0, "correction" if complete else ""
    )


def _covered(books: ProviderBooks, complete: bool) -> tuple[str, str]:
    """From when to when an attempt of ours should be in the file; texts that compare as times."""
    first, last = books.first, books.last
    if complete:  # whole days, UTC
        first = datetime.combine(first.date(), time(), first.tzinfo)
        last = datetime.combine(
            (last - timedelta(microseconds=1)).date() + timedelta(days=1), time(), last.tzinfo
        )
    return first.isoformat(timespec="milliseconds"), last.isoformat(timespec="milliseconds")


def _attempt(db: sqlite3.Connection, name: str) -> Attempt:
    request, number, machine = name.rsplit(".", 2)
    recipe, run, stage, ceiling, price = db.execute(
        """SELECT recipe, run, stage, nanodollars, COALESCE(price, '') FROM entries
           WHERE request = ? AND attempt = ? AND machine = ? AND kind = 'reserved'""",
        (request, int(number), machine),
    ).fetchone()
    return Attempt(machine, recipe, run, stage, request, int(number), ceiling, price)
