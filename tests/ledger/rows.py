"""Rows of a ledger at times of our choosing, written as the journal writes them."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.pricing.token_prices import Price, price_of
from alpaca_pipe.ledger.store.journal import Journal, enter, keep_price

MINI = price_of("gpt-4o-mini", date(2026, 11, 21))
NANO = price_of("gpt-4.1-nano", date(2026, 11, 21))
USED = Usage(100, 40, 0, 50, 10)
COST = MINI.cost(USED)


def machine_time(
    journal: Journal,
    recipe: str,
    run: str,
    stage: str,
    seconds: float,
    nanodollars_per_hour: int = 0,
    note: str = "",
) -> None:
    """A stretch of machine time as a row of its own, as a lease settles its slices."""
    name = f"machine-{uuid.uuid4().hex[:16]}"
    span = Attempt(journal.machine, recipe, run, stage, name, 1, 0, "")
    cost = round(Fraction(seconds) * nanodollars_per_hour / 3600)
    usage = {"seconds": round(seconds, 3)}
    journal.write(
        lambda db: enter(db, span, "settled", cost, class_="machine", usage=usage, note=note)
    ).result()


@dataclass
class Rows:
    """Writes attempts at teachers; each has a name of its own."""

    journal: Journal
    recipe: str = "alpaca"
    run: str = "monday"
    stage: str = "generate"
    machine: str = "m1"
    price: Price = field(default=MINI)
    ceiling: int = 1_000_000

    def settled(
        self,
        request: str,
        at: str,
        cost: int | None = None,
        usage: Usage = USED,
        began: str = "",
        attempt: int = 1,
    ) -> str:
        cost = self.price.cost(usage) if cost is None else cost
        return self._attempt(
            request, attempt, began or at, at, "settled", cost, canonical(vars_of(usage))
        )

    def lost(self, request: str, at: str, began: str = "", attempt: int = 1) -> str:
        return self._attempt(request, attempt, began or at, at, "lost", self.ceiling, None)

    def released(self, request: str, at: str, attempt: int = 1) -> str:
        return self._attempt(request, attempt, at, at, "released", 0, None)

    def opened(self, request: str, at: str, attempt: int = 1) -> str:
        return self._attempt(request, attempt, at, "", "", 0, None)

    def _attempt(
        self,
        request: str,
        attempt: int,
        began: str,
        ended: str,
        kind: str,
        amount: int,
        usage: str | None,
    ) -> str:
        def work(db: sqlite3.Connection) -> None:
            keep_price(db, self.price)
            common = (self.machine, self.recipe, self.run, self.stage, request, attempt)
            insert = f"INSERT INTO entries VALUES (NULL, {', '.join('?' * 14)})"
            db.execute(
                insert,
                (
                    time_of(began),
                    *common,
                    "reserved",
                    "api",
                    self.ceiling,
                    0,
                    None,
                    self.price.id,
                    "",
                ),
            )
            if kind:
                db.execute(
                    insert,
                    (
                        time_of(ended),
                        *common,
                        kind,
                        "api",
                        amount,
                        self.ceiling,
                        usage,
                        self.price.id,
                        "",
                    ),
                )

        self.journal.write(work).result()
        return f"{request}.{attempt}.{self.machine}"


def time_of(text: str) -> str:
    """`2026-11-20 23:59:59` as the journal writes it."""
    return f"{text.replace(' ', 'T')}.000+00:00"


def vars_of(usage: Usage) -> dict[str, int]:
    return {name: getattr(usage, name) for name in usage.__dataclass_fields__}
