"""The commands of money: what was spent, what things cost, and whether published claims add up."""

from __future__ import annotations

from pathlib import Path

import typer

from alpaca_pipe.cli.common import Fallback, Rehearsed, Runs

app = typer.Typer()
ledger = typer.Typer(cls=Fallback, help="What was spent: settled, lost (sent, outcome unknown), machine time.")
app.add_typer(ledger, name="ledger")


@ledger.command()
def show(runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """What was spent in this workspace, by recipe and stage."""
    from alpaca_pipe.ledger.statement import print_statement

    print_statement((runs / "rehearsal" if rehearse else runs) / "ledger.sqlite")
