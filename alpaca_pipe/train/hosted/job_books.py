"""A hosted tune in the ledger: reserved before the provider is asked, settled when it says what it took. One attempt, whatever is
killed in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.ledger.budget import Caps, more
from alpaca_pipe.ledger.entries import Attempt, Class, Short
from alpaca_pipe.ledger.money import enough, shown
from alpaca_pipe.ledger.pricing.gpu_rates import Hosted
from alpaca_pipe.ledger.store.balance import STILL_OPEN
from alpaca_pipe.ledger.store.journal import Journal, enter
from alpaca_pipe.weights.base import BaseTable

CLASS: Class = "gpu"  # budget.gpu holds it: it is what tuning costs


@dataclass(frozen=True)
class TuneOrder:
    """What a hosted tune works with. folder: the step's own; rows: curate's file; recipe, run: for the ledger."""

    folder: Path
    rows: Path
    base: BaseTable
    journal: Journal
    caps: Caps
    recipe: str
    run: str
    say: Callable[[str], None]
    stopping: Callable[[], bool]


def open_attempt(order: TuneOrder, key: str) -> Attempt | None:
    """What an earlier run of the recipe has reserved for this job and not settled."""
    with order.journal.read() as db:
        row = db.execute(
            f"""SELECT machine, recipe, run, stage, request, attempt, nanodollars, price FROM entries AS e
               WHERE request = ? AND recipe = ? AND kind = 'reserved' AND {STILL_OPEN}""",
            (key, order.recipe),
        ).fetchone()
    return Attempt(*row) if row else None


def reserved(order: TuneOrder, key: str, ceiling: int, rate: Hosted) -> Attempt:
    """UserError where it does not fit below a cap."""
    found = order.journal.reserve(
        key,
        ceiling,
        rate,
        order.caps,
        recipe=order.recipe,
        run=order.run,
        stage="train",
        class_=CLASS,
    ).result()
    if isinstance(found, Attempt):
        return found
    assert isinstance(found, Short), "a tune has no stored reply"
    held = found.settled + found.lost + found.open
    raise UserError(
        f"the hosted tune may cost {shown(ceiling)}, and {shown(max(0, found.cap - held))} is left of {found.budget} ({shown(found.cap)})",
        f"{more(found.budget, enough(held + ceiling))}, or tune fewer rows or epochs",
    )


def settled(order: TuneOrder, attempt: Attempt, cost: int, note: str, anomaly: str) -> None:
    def work(db: sqlite3.Connection) -> None:
        enter(db, attempt, "settled", cost, class_=CLASS, note=note)
        if anomaly:
            enter(db, attempt, "anomaly", 0, class_=CLASS, note=anomaly)

    order.journal.write(work).result()


def released(order: TuneOrder, attempt: Attempt, note: str) -> None:
    order.journal.write(
        lambda db: enter(db, attempt, "released", 0, class_=CLASS, note=note)
    ).result()


def lost(order: TuneOrder, attempt: Attempt, note: str) -> None:
    order.journal.write(
        lambda db: enter(db, attempt, "lost", attempt.ceiling, class_=CLASS, note=note)
    ).result()
