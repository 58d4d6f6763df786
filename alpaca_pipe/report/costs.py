"""What a recipe has cost by the ledger: summed anew from its entries, and held against the ledger's own balances."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.machine.energy import drawn
from alpaca_pipe.ledger.statements.sums import StatementLine, added_up, faults
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.report.run_files import RunFiles, StageFiles


@dataclass(frozen=True)
class Money:
    """All runs of a recipe. lines: by name, the requests of each stage and the other classes, summed from the entries;
    total: from the balances. this_run: settled in the last run. free: the teacher costs nothing by its price.

    from_store: replies that generate had from our own store; saved: nano-dollars that they cost when they were bought.
    energy: in words; empty where none is known. elsewhere: the stages whose steps came in a pack: what they cost is in the ledger of
    the machine that made them, and not here.
    """

    lines: Mapping[str, StatementLine]
    total: Totals
    this_run: int
    free: bool
    from_store: int
    saved: int
    energy: str = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def elsewhere_in_words(self) -> str:
        """A sentence without its full stop; empty where all was made here."""
        if not self.elsewhere:
            return ""
        made = " and ".join(filter(None, (", ".join(self.elsewhere[:-1]), self.elsewhere[-1])))
        return f"{made} came in a pack: what was paid for them is in the ledger of the machine that made them"

    @property
    def earlier(self) -> bool:
        """Whether other runs of the recipe have cost something too."""
        return self.total.settled != self.this_run

    @property
    def faults(self) -> tuple[str, ...]:
        """The columns in which the lines do not make the total."""
        return faults(self.lines.values(), self.total)


_CLASSES = {"machine": "machine time", "gpu": "GPU time"}


def money(found: RunFiles) -> Money | None:
    """None where the ledger is not in this copy. Raises UserError where it cannot be read."""
    if not found.ledger.is_file():
        return None
    generate = found.step("generate")
    with Journal.open(found.ledger, read_only=True) as journal:
        with journal.read() as db:
            db.execute("BEGIN")
            try:
                entries, balances = added_up(db, ("stage", "class", "share"), found.recipe)
            finally:
                db.execute("COMMIT")
            elsewhere = _elsewhere(db, found)
        saved = _saved(journal, generate)
        last = journal.totals(found.recipe, run=found.run.get("run", ""))
    lines, whole = dict[str, StatementLine](), StatementLine()
    for (stage, class_, share), entry in sorted(entries.items(), key=_api_first):
        lines.setdefault(_name(stage, class_, bool(share)), StatementLine()).add(entry)
        whole.add(entry)
    return Money(
        lines,
        balances,
        last.settled,
        _free(found, lines.values()),
        generate.summary.get("from_store", 0),
        saved,
        drawn(whole.kwh, whole.kwh_measured, whole.kg_co2e) if whole.kwh else "",
        elsewhere,
    )


def _elsewhere(db: sqlite3.Connection, found: RunFiles) -> tuple[str, ...]:
    shares = db.execute(
        "SELECT detail FROM shares WHERE event = 'received' AND recipe = ?", (found.recipe,)
    )
    came = {folder for (detail,) in shares for folder in json.loads(detail)["steps"].values()}
    return tuple(
        kind for kind, step in found.steps.items() if step.folder and step.folder.name in came
    )


def _api_first(entry: tuple[tuple[Any, ...], StatementLine]) -> tuple[Any, ...]:
    stage, class_, share = entry[0]
    return bool(share), class_ != "api", class_, stage


def _saved(journal: Journal, generate: StageFiles) -> int:
    """Nano-dollars that replies from our own store cost, in whichever run and recipe they were bought."""
    with journal.read() as db:
        bought = db.execute(
            """SELECT request, SUM(nanodollars) FROM entries WHERE kind IN ('settled', 'reconciled')
               AND (?1 IS NULL OR run <> ?1) GROUP BY request""",
            (generate.done.get("run"),),
        ).fetchall()
    asked = {
        row["origin"]["source"]
        for name in ("examples.jsonl", "rejected.jsonl") * bool(bought)
        for row in generate.rows(name)
    }
    return sum(cost for request, cost in bought if request in asked)


def _name(stage: str, class_: str, share: bool) -> str:
    if share:
        return "lent to other machines"
    return f"requests of {stage}" if class_ == "api" else _CLASSES.get(class_, class_)


def _free(found: RunFiles, lines: Iterable[StatementLine]) -> bool:
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
