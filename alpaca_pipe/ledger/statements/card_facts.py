"""What a published card says of the ledger: what the recipe cost, and what its computing drew where that is known."""

from __future__ import annotations

from collections.abc import Iterator

from alpaca_pipe.ledger.machine.energy import drawn
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.statements.sums import StatementLine, sums
from alpaca_pipe.ledger.store.journal import Journal


def card_facts(total: StatementLine) -> Iterator[tuple[str, str]]:
    """(name, value) each; of energy it says how much was measured and how much assumed. total: of a recipe."""
    yield "cost", shown(total.settled)
    yield from _energy("energy", total)


def energy_so_far(journal: Journal, recipe: str) -> list[tuple[str, str]]:
    """What the recipe's computing drew until now; nothing where none is known, and none of a recipe that the ledger does not know."""
    line = sums(journal, by="recipe").lines.get((recipe,), StatementLine())
    return list(_energy("energy until this export", line))


def _energy(name: str, line: StatementLine) -> Iterator[tuple[str, str]]:
    if line.kwh:
        found = drawn(line.kwh, line.kwh_measured, line.kg_co2e)
        yield name, found.removeprefix("energy: ")
