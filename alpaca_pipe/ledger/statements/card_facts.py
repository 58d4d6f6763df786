"""What a published card says of the ledger: what the recipe cost, and what its computing drew where that is known."""

from __future__ import annotations

from collections.abc import Iterator

from alpaca_pipe.ledger.machine.energy import drawn
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.statements.sums import StatementLine


def card_facts(total: StatementLine) -> Iterator[tuple[str, str]]:
    """(name, value) each; of energy it says how much was measured and how much assumed. total: of a recipe."""
    yield "cost", shown(total.settled)
    if total.kwh:
        found = drawn(total.kwh, total.kwh_measured, total.kg_co2e)
        yield "energy", found.removeprefix("energy: ")
