"""What a recipe has cost by the ledger: summed anew from its entries, and held against the ledger's own balances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from alpaca_pipe.ledger.machine.energy import drawn
from alpaca_pipe.ledger.statements.sums import StatementLine, added_up
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.report.run_files import RunFiles


@dataclass(frozen=True)
class CostLine:
    """Nano-dollars by state, answered requests and HTTP attempts. lost: sent, outcome unknown, at its ceiling."""

    name: str
    settled: int = 0
    lost: int = 0
    open: int = 0
    requests: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class Money:
    """All runs of a recipe. lines: the requests of each stage and the other classes, summed from the entries; total:
    from the balances. this_run: settled in the last run. free: the teacher costs nothing by its price.

    from_store: replies that generate had from our own store; saved: nano-dollars that they cost when they were bought.
    energy: in words; empty where none is known.
    """

    lines: tuple[CostLine, ...]
    total: CostLine
    this_run: int
    free: bool
    from_store: int
    saved: int
    energy: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        """The columns in which the lines do not make the total."""
        sums = {name: sum(getattr(line, name) for line in self.lines) for name in _COLUMNS}
        return tuple(
            f"{name}: the entries make {count:,}, the balances say {getattr(self.total, name):,}"
            for name, count in sums.items()
            if count != getattr(self.total, name)
        )


_CLASSES = {"machine": "machine time", "gpu": "GPU time"}
_COLUMNS = tuple(field.name for field in fields(CostLine) if field.name != "name")


def money(found: RunFiles) -> Money | None:
    """None where the ledger is not in this copy. Raises UserError where it cannot be read."""
    if not found.ledger.is_file():
        return None
    generate = found.step("generate")
    asked = {
        row["origin"]["source"]
        for name in ("examples.jsonl", "rejected.jsonl")
        for row in generate.rows(name)
    }
    with Journal.open(found.ledger, read_only=True) as journal:
        with journal.read() as db:
            db.execute("BEGIN")
            try:
                entries, balances = added_up(db, ("stage", "class", "share"), found.recipe)
            finally:
                db.execute("COMMIT")
        saved = _saved(journal, asked, generate.done.get("run"))
        last = journal.totals(found.recipe, run=found.run.get("run", ""))
    lines, whole = dict[str, CostLine](), StatementLine()
    for (stage, class_, share), entry in sorted(entries.items(), key=_api_first):
        name = _name(stage, class_, bool(share))
        lines[name] = _line(name, entry, lines.get(name))
        whole.add(entry)
    return Money(
        tuple(lines.values()),
        CostLine("in all", *(getattr(balances, name) for name in _COLUMNS)),
        last.settled,
        _free(found, lines.values()),
        generate.summary.get("from_store", 0),
        saved,
        drawn(whole.kwh, whole.kwh_measured, whole.kg_co2e) if whole.kwh else "",
    )


def _api_first(entry: tuple[tuple[Any, ...], StatementLine]) -> tuple[Any, ...]:
    stage, class_, share = entry[0]
    return bool(share), class_ != "api", class_, stage


def _saved(journal: Journal, asked: set[str], made_by: str | None) -> int:
    """Nano-dollars that replies from our own store cost, in whichever run and recipe they were bought."""
    with journal.read() as db:
        bought = db.execute(
            """SELECT request, SUM(nanodollars) FROM entries WHERE kind IN ('settled', 'reconciled')
               AND (?1 IS NULL OR run <> ?1) GROUP BY request""",
            (made_by,),
        )
        return sum(cost for request, cost in bought if request in asked)


def _name(stage: str, class_: str, share: bool) -> str:
    if share:
        return "lent to other machines"
    return f"requests of {stage}" if class_ == "api" else _CLASSES.get(class_, class_)


def _line(name: str, entry: StatementLine, before: CostLine | None) -> CostLine:
    start = before or CostLine(name)
    return CostLine(name, *(getattr(start, column) + getattr(entry, column) for column in _COLUMNS))


def _free(found: RunFiles, lines: Iterable[CostLine]) -> bool:
    teacher = found.config.get("teacher") or {}
    price = teacher.get("price") or {}
    told = (
        isinstance(price, dict)
        and bool(price)
        and not any(float(cost or 0) for cost in price.values())
    )
    return (told or teacher.get("kind") == "local_server") and not any(
        line.settled + line.lost for line in lines
    )
