"""What no meter sees, entered by hand so that "total" means total: a person's minutes, stored and sent gigabytes."""

from __future__ import annotations

import json
import sqlite3
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.journal import Journal, enter

Sort = Literal["human", "storage", "egress"]
UNITS: dict[Sort, str] = {"human": "minutes", "storage": "gigabyte-days", "egress": "gigabytes"}
_MINUTES = UNITS["human"]
_PRICED_BY: dict[str, str] = {
    "human": "human_per_hour",
    "storage": "storage_per_gb_month",
    "egress": "egress_per_gb",
}
_A_MONTH = 30  # days, as the price of storage counts them


def cost_by_hand(sort: Sort, amount: Decimal, table: GpuTable) -> int:
    """Nano-dollars for minutes of a person, gigabyte-days kept or gigabytes sent, at the prices of the table `gpu:`."""
    price = {
        "human": Fraction(table.human_per_hour) / 60,
        "storage": Fraction(table.storage_per_gb_month) / _A_MONTH,
        "egress": Fraction(table.egress_per_gb),
    }[sort]
    return round(Fraction(amount) * price * NANO)


def enter_by_hand(
    journal: Journal,
    recipe: str,
    named: str,
    amount: Decimal,
    table: GpuTable,
    *,
    stage: str = "",
    note: str = "",
) -> int:
    """Enters what was spent already, so no cap can refuse it; answers its nano-dollars. Raises UserError."""
    sort = next((sort for sort in UNITS if sort == named), None)
    if sort is None:
        raise UserError(
            f"'{named}' is not a cost that can be entered", f"known are: {', '.join(UNITS)}"
        )
    if amount <= 0:
        raise UserError(
            f"{amount} {UNITS[sort]} is nothing to enter",
            "give more than 0; what was wrong is fixed by a correction",
        )
    cost = cost_by_hand(sort, amount, table)
    span = Attempt(journal.machine, recipe, "", stage, f"{sort}-{uuid.uuid4().hex[:16]}", 1, 0, "")

    def work(db: sqlite3.Connection) -> None:
        enter(db, span, "settled", cost, class_=sort, usage={UNITS[sort]: float(amount)}, note=note)

    journal.write(work).result()
    return cost


def enter_sitting(
    journal: Journal,
    recipe: str,
    sitting: str,
    seconds: float,
    table: GpuTable,
    *,
    stage: str = "",
    note: str = "",
) -> int | None:
    """Enters what a sitting's work comes to beyond what the ledger holds of it already; answers its nano-dollars, or None
    where nothing was to be entered. The same sitting again, after a kill or when it has grown, is never counted twice."""

    def work(db: sqlite3.Connection) -> int | None:
        held = db.execute(
            "SELECT attempt, usage FROM entries WHERE request = ? AND kind = 'settled'", (key,)
        ).fetchall()
        more = round(seconds) - sum(round(json.loads(usage)[_MINUTES] * 60) for _, usage in held)
        if more <= 0:
            return None
        cost = cost_by_hand("human", Decimal(more) / 60, table)
        span = Attempt(
            journal.machine,
            recipe,
            "",
            stage,
            key,
            1 + max((attempt for attempt, _ in held), default=0),
            0,
            "",
        )
        enter(
            db,
            span,
            "settled",
            cost,
            class_="human",
            usage={_MINUTES: round(more / 60, 4)},
            note=note,
        )
        return cost

    key = f"human-{sitting}"
    return journal.write(work).result()


def free_of_charge(named: str) -> str:
    """Why an amount came to nothing, in words."""
    return f"gpu.{_PRICED_BY[named]} is 0 in this recipe: set it first where it costs something"
