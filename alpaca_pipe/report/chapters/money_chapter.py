"""Money and minutes: the ledger's table in words, machine time, and forecast beside actual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.statements.sums import StatementLine
from alpaca_pipe.report.chapters.base import ReportChapter, Told, dollars
from alpaca_pipe.report.costs import Money
from alpaca_pipe.report.facts import Facts
from alpaca_pipe.report.forecast_vs_actual import unit_costs


def _told(facts: Facts) -> Told:
    return {
        **_money(facts),
        "costs": " ".join(f"{line}." for line in unit_costs(facts.costs)),
        "steps": facts.steps,
        "minutes": facts.minutes,
        "compared": _compared(facts),
    }


def _money(facts: Facts) -> Mapping[str, Any]:
    """The ledger's table in words."""
    books = facts.money
    if books is None:
        return {
            "sentence": "The ledger is not in this copy, so what was paid cannot be said.",
            "rows": [],
        }
    named: list[tuple[str, StatementLine | Totals]] = [
        *books.lines.items(),
        ("in all", books.total),
    ]
    rows = [
        {
            "name": name,
            "settled": dollars(line.settled),
            "lost": dollars(line.lost),
            "open": dollars(line.open),
            "requests": f"{line.requests:,}" if line.attempts else "",
            "attempts": f"{line.attempts:,}" if line.attempts else "",
            "total": line is books.total,
        }
        for name, line in named
    ]
    stored = ""
    if books.from_store:
        worth = (
            f" They had cost {dollars(books.saved)} when they were bought." if books.saved else ""
        )
        stored = f"{books.from_store:,} replies came from our own store and cost nothing.{worth}"
    exact = f"{books.total.settled:,} settled, {books.total.lost:,} lost, {books.total.open:,} open"
    local = (facts.config.get("teacher") or {}).get("kind") == "local_server"
    return {
        "sentence": _paid(books, facts.rehearsal, local),
        "rows": rows,
        "stored": stored,
        "elsewhere": books.elsewhere and f"{books.elsewhere_in_words.capitalize()}.",
        "energy": books.energy and f"{books.energy[0].upper()}{books.energy[1:]}.",
        "faults": books.faults,
        "check": f"The entries and the balances of the ledger agree to the nano-dollar: {exact}.",
    }


def _paid(books: Money, rehearsal: bool, local: bool) -> str:
    if books.free:
        return f"The {'local ' if local else ''}teacher is free: no API was paid, $0."
    lost = (
        f"{dollars(books.total.lost)} lost (sent, outcome unknown, counted at its ceiling)"
        if books.total.lost
        else "nothing lost"
    )
    spent = (
        f"{dollars(books.total.settled)} settled over all runs of this recipe, "
        f"{dollars(books.this_run)} of it in this one; {lost}."
    )
    return f"On paper, for a rehearsal pays nothing: {spent}" if rehearsal else spent


def _compared(facts: Facts) -> Mapping[str, Any]:
    """Forecast and actual, a row a figure; a forecast of the middle, with P10 to P90 beside it."""
    rows = []
    for step in facts.compared:
        for place, one in enumerate(step.measures):
            spelled = _SPELLED.get(one.name, _whole)
            planned = [spelled(value) for value in one.planned] if one.planned else ["–", "–", "–"]
            rows.append(
                {
                    "step": step.kind if place == 0 else "",
                    "name": one.name,
                    "middle": planned[1],
                    "around": f"{planned[0]} – {planned[2]}" if one.planned else "–",
                    "was": spelled(one.actual),
                    "inside": one.inside,
                }
            )
    forecast = [one for step in facts.compared for one in step.measures if one.planned]
    inside = sum(one.inside for one in forecast)
    rested = "".join(
        f" That of {step.kind} rested on {step.rests_on.removeprefix('on ').strip(' ;')}."
        for step in facts.compared
        if step.rests_on.strip(" ;") and any(one.name == "requests" for one in step.measures)
    )
    return {
        "rows": rows if forecast else [],
        "sentence": f"{inside} of {len(forecast)} figures lay between P10 and P90, where 8 of 10 should.{rested}",
    }


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_SPELLED: Mapping[str, Callable[[float], str]] = {
    "minutes": lambda value: f"{value:.1f}" if value >= 1 else f"{value:.2f}",
    "dollars": lambda value: dollars(round(value)),
}

MONEY = ReportChapter("money", 20, _told, "money_chapter.html.j2")
