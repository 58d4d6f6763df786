"""What a recipe has cost by the ledger: summed anew from its entries, and held against the ledger's own balances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from alpaca_pipe.ledger.budget_shares import is_share
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.machine.energy import drawn
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
    made_by = generate.done.get("run")
    with Journal.open(found.ledger, read_only=True) as journal:
        lines: dict[str, CostLine] = {}
        saved, energy = 0, [0.0, 0.0, 0.0]
        for entry in journal.entries():
            if entry.recipe == found.recipe:
                name = _name(entry)
                lines[name] = _with(lines.get(name, CostLine(name)), entry)
                energy = [a + b for a, b in zip(energy, _energy(entry), strict=True)]
            if (
                entry.request in asked
                and entry.run != made_by
                and entry.kind in ("settled", "reconciled")
            ):
                saved += entry.nanodollars
        total, last = (
            journal.totals(found.recipe),
            journal.totals(found.recipe, run=found.run.get("run", "")),
        )
    return Money(
        tuple(lines.values()),
        CostLine("in all", *(getattr(total, name) for name in _COLUMNS)),
        last.settled,
        _free(found, lines.values()),
        generate.summary.get("from_store", 0),
        saved,
        drawn(*energy) if energy[0] else "",
    )


def _name(entry: LedgerEntry) -> str:
    if is_share(entry.request):
        return "lent to other machines"
    return (
        f"requests of {entry.stage}"
        if entry.class_ == "api"
        else _CLASSES.get(entry.class_, entry.class_)
    )


def _energy(entry: LedgerEntry) -> tuple[float, float, float]:
    """kWh, those of them that were measured, kg of CO2."""
    kwh = entry.usage.get("kwh") or 0.0
    return (
        kwh,
        kwh if entry.usage.get("basis") == "measured" else 0.0,
        entry.usage.get("kg_co2e") or 0.0,
    )


def _with(line: CostLine, entry: LedgerEntry) -> CostLine:
    """The line after one more entry; what each kind adds is said in ledger/store/migrations.py."""
    amount, frees, kind = entry.nanodollars, entry.frees, entry.kind
    ended = kind in ("settled", "released", "lost")
    return CostLine(
        line.name,
        settled=line.settled + (amount if kind in ("settled", "reconciled", "correction") else 0),
        lost=line.lost + (amount if kind == "lost" else 0) - (frees if kind == "reconciled" else 0),
        open=line.open + (amount if kind in ("reserved", "lent") else 0) - (frees if ended else 0),
        requests=line.requests + (kind == "settled" and entry.class_ == "api"),
        attempts=line.attempts + (kind == "reserved" and entry.class_ == "api"),
    )


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
