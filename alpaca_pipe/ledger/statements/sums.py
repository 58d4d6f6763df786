"""The sums of a statement: the journal added up by whatever is asked, inside SQLite, and held against the balances."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget_shares import SHARE_MARK
from alpaca_pipe.ledger.entries import Totals, adds
from alpaca_pipe.ledger.pricing.token_prices import CLASSES
from alpaca_pipe.ledger.store.balance import STILL_OPEN
from alpaca_pipe.ledger.store.journal import Journal, totals_of

By = Literal["stage", "model", "day", "month", "class", "recipe", "run", "machine"]
Column = By | Literal["share"]  # whether it is of a share of the budget, lent to another machine
BY: tuple[By, ...] = get_args(By)
_LAST = 5  # anomalies that are quoted

# What a reconciliation or a correction says belongs to the day on which its attempt ended, not to its own.
_DAY = """CASE WHEN e.kind NOT IN ('reconciled', 'correction') THEN substr(e.at, 1, 10) ELSE COALESCE(
    (SELECT substr(at, 1, 10) FROM entries WHERE request = e.request AND attempt = e.attempt AND machine = e.machine
     AND kind IN ('settled', 'released', 'lost')), substr(e.at, 1, 10)) END"""
_COLUMN: Mapping[str, str] = {
    "share": f"substr(e.request, 1, {len(SHARE_MARK)}) = '{SHARE_MARK}'",
    "recipe": "e.recipe",
    "run": "e.run",
    "stage": "e.stage",
    "class": "e.class",
    "machine": "e.machine",
    "day": _DAY,
    "month": f"substr({_DAY}, 1, 7)",
    "model": "COALESCE(e.price, '') || ' ' || e.class",
}  # becomes a name afterwards: prices are few
_COLUMNS: Mapping[By | None, tuple[Column, ...]] = {
    None: ("recipe", "stage", "class"),
    "run": ("recipe", "run"),
    **{name: (name,) for name in BY if name != "run"},
}
_TOKENS = ", ".join(
    f"SUM(iif(e.class = 'api', json_extract(e.usage, '$.{name}'), NULL))" for name in CLASSES
)
_OF_MACHINES = ", ".join(
    f"SUM(iif(e.class = 'api', NULL, json_extract(e.usage, '$.{name}')))"
    for name in ("seconds", "kwh", "kg_co2e")
)
_MEASURED = (
    "SUM(iif(json_extract(e.usage, '$.basis') = 'measured', json_extract(e.usage, '$.kwh'), NULL))"
)


@dataclass
class StatementLine:
    """One line of a statement, in nano-dollars. attempts, requests: HTTP attempts to a teacher, and those it answered.

    lent: a part of open, to other machines. asked: settled or lost at teachers. unheard: settled by a reconciliation, so billed without a reply. again: settled
    for a request that had its reply already.
    """

    settled: int = 0
    lost: int = 0
    open: int = 0
    lent: int = 0
    requests: int = 0
    attempts: int = 0
    asked: int = 0
    unheard: int = 0
    again: int = 0
    tokens: Usage = field(default_factory=Usage)
    seconds: float = 0.0  # of machines
    kwh: float = 0.0
    kg_co2e: float = 0.0
    kwh_measured: float = 0.0  # of kwh; the rest is assumed from a power limit

    def add(self, other: StatementLine) -> None:
        for column in fields(self):
            if column.name != "tokens":
                setattr(self, column.name, getattr(self, column.name) + getattr(other, column.name))
        self.tokens = Usage(
            *(getattr(self.tokens, name) + getattr(other.tokens, name) for name in CLASSES)
        )

    @property
    def wasted(self) -> float | None:
        """Share of the money that brought no reply of its own: lost, billed unheard, bought twice. What a reply was
        good for is not known here; the report says it. None where no money was spent."""
        spent = self.settled + self.lost
        return (self.lost + self.unheard + self.again) / spent if spent > 0 else None


@dataclass(frozen=True)
class Anomaly:
    at: str
    recipe: str
    stage: str
    note: str


@dataclass(frozen=True)
class Sums:
    """columns: the names of what the lines are by.  lines: by their values, in order."""

    columns: tuple[str, ...]
    lines: Mapping[tuple[str, ...], StatementLine]
    total: StatementLine
    anomalies: int
    last_anomalies: tuple[Anomaly, ...]


def sums(journal: Journal, by: By | None = None, recipe: str | None = None) -> Sums:
    """Adds the journal up, in one snapshot of it. Raises UserError for an unknown recipe, or where the lines do not sum
    to the ledger's own balances."""
    columns = _COLUMNS[by]
    with journal.read() as db:
        db.execute("BEGIN")
        try:
            _known(db, recipe)
            lines, balances = added_up(db, columns, recipe)
            count = db.execute(
                "SELECT COUNT(*) FROM entries WHERE kind = 'anomaly' AND (?1 IS NULL OR recipe = ?1)",
                (recipe,),
            ).fetchone()[0]
            last = db.execute(
                """SELECT at, recipe, stage, note FROM entries WHERE kind = 'anomaly' AND
                                 (?1 IS NULL OR recipe = ?1) ORDER BY id DESC LIMIT ?2""",
                (recipe, _LAST),
            ).fetchall()
        finally:
            db.execute("COMMIT")
    if wrong := faults(lines.values(), balances):
        raise UserError(
            f"{journal.path}: the lines do not sum to the ledger's balances ({'; '.join(wrong)})",
            "keep the file and report this",
        )
    total = StatementLine()
    for line in lines.values():
        total.add(line)
    return Sums(
        columns,
        dict(sorted(lines.items())),
        total,
        count,
        tuple(Anomaly(*row) for row in reversed(last)),
    )


def added_up(
    db: sqlite3.Connection, columns: tuple[Column, ...], recipe: str | None
) -> tuple[dict[tuple[str, ...], StatementLine], Totals]:
    """The journal's entries by the values of some columns, and what the balances say of all of them: to be held against
    each other. Read both in one transaction."""
    return _lines(db, columns, recipe), totals_of(db, recipe)


def faults(lines: Iterable[StatementLine], balances: Totals) -> tuple[str, ...]:
    """The columns in which lines do not make what the balances say."""
    held, rows = ("settled", "lost", "open", "requests", "attempts"), list(lines)
    columns = {
        name: (sum(getattr(row, name) for row in rows), getattr(balances, name)) for name in held
    }
    return tuple(
        f"{name}: the entries make {made:,}, the balances say {said:,}"
        for name, (made, said) in columns.items()
        if made != said
    )


def _known(db: sqlite3.Connection, recipe: str | None) -> None:
    names = [name for (name,) in db.execute("SELECT DISTINCT recipe FROM balances")]
    if recipe is not None and recipe not in names:
        raise UserError(
            f"the ledger has no entry of a recipe '{recipe}'", did_you_mean(recipe, names)
        )


def _lines(
    db: sqlite3.Connection, columns: tuple[Column, ...], recipe: str | None
) -> dict[tuple[str, ...], StatementLine]:
    asked = ", ".join(_COLUMN[name] for name in columns)
    names = {id_: json.loads(price) for id_, price in db.execute("SELECT id, price FROM prices")}
    lines: dict[tuple[str, ...], StatementLine] = defaultdict(StatementLine)
    for *key, part in _parts(db, asked, len(columns), recipe, by_day=columns == ("day",)):
        lines[_model_of(key[0], names) if columns == ("model",) else tuple(key)].add(part)
    return dict(lines)


def _parts(
    db: sqlite3.Connection, asked: str, width: int, recipe: str | None, by_day: bool
) -> Iterator[list[Any]]:
    """The values of the columns, and what one group of rows adds to their line."""
    of, places = "(?1 IS NULL OR e.recipe = ?1)", [str(place + 1) for place in range(width + 2)]
    for row in db.execute(
        f"""SELECT {asked}, e.kind, e.class, SUM(e.nanodollars), SUM(e.frees), COUNT(*),
            {_OF_MACHINES}, {_MEASURED}, {_TOKENS} FROM entries AS e WHERE {of} GROUP BY {", ".join(places)}""",
        (recipe,),
    ):
        kind, class_, amount, frees, count, seconds, kwh, kg, measured, *tokens = row[width:]
        settled, lost, opened = adds(kind, amount, frees)
        yield [
            *row[:width],
            StatementLine(
                settled=settled,
                lost=lost,
                asked=settled + lost if class_ == "api" else 0,
                open=0 if by_day else opened,
                requests=count if kind == "settled" and class_ == "api" else 0,
                attempts=count if kind == "reserved" and class_ == "api" else 0,
                unheard=amount if kind == "reconciled" else 0,
                tokens=Usage(*(value or 0 for value in tokens)),
                seconds=seconds or 0.0,
                kwh=kwh or 0.0,
                kg_co2e=kg or 0.0,
                kwh_measured=measured or 0.0,
            ),
        ]
    for row in db.execute(
        f"""SELECT {asked}, SUM(e.nanodollars) FROM entries AS e JOIN (
            SELECT request, MIN(id) AS first FROM entries WHERE kind = 'settled'
            GROUP BY request HAVING COUNT(*) > 1) AS twice
            ON e.request = twice.request AND e.kind = 'settled' AND e.class = 'api' AND e.id > first
            WHERE {of} GROUP BY {", ".join(places[:width])}""",
        (recipe,),
    ):
        yield [*row[:width], StatementLine(again=row[width])]
    for row in db.execute(
        f"""SELECT {asked}, SUM(e.nanodollars) FROM entries AS e WHERE e.kind = 'lent' AND {of}
            AND {STILL_OPEN}
            GROUP BY {", ".join(places[:width])}""",
        (recipe,),
    ):
        yield [*row[:width], StatementLine(lent=row[width], open=row[width] if by_day else 0)]
    if (
        by_day
    ):  # a reservation and its end may lie on two days, so only those without an end are open
        for row in db.execute(
            f"""SELECT {asked}, SUM(e.nanodollars) FROM entries AS e
                WHERE e.kind = 'reserved' AND {of} AND e.run IN (SELECT run FROM balances WHERE pending > 0)
                AND {STILL_OPEN}
                GROUP BY 1""",
            (recipe,),
        ):
            yield [*row[:width], StatementLine(open=row[width])]


def _model_of(key: str, prices: Mapping[str, Mapping[str, Any]]) -> tuple[str]:
    """The name of what an entry's price is of; the class where there is no price."""
    id_, class_ = key.split(" ")
    price = prices.get(id_, {})
    return (
        f"{price.get('model') or price.get('gpu') or class_}{', batch' if price.get('mode') == 'batch' else ''}",
    )
