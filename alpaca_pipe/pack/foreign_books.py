"""Books that came from elsewhere held against ours: they may add what their own machines did, and touch nothing that is ours or
another's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.machine.lease import open_leases
from alpaca_pipe.ledger.store.connection import same_machine
from alpaca_pipe.pack.manifest import STRANGE, ResultsPack


def refuse_ours(
    ours: sqlite3.Connection, theirs: sqlite3.Connection, pack: ResultsPack, home: str, path: Path
) -> None:
    """Raises UserError. ours, theirs: the two ledgers, for reading.  home: the name of ours."""
    for fault in _faults(ours, theirs, pack, home):
        raise UserError(f"{path} {fault}; nothing was merged", STRANGE)


def _faults(
    ours: sqlite3.Connection, theirs: sqlite3.Connection, pack: ResultsPack, home: str
) -> Iterator[str]:
    machines = {pack.machine, *pack.machines}
    if home in machines:
        yield "says that it was made by this machine itself"
    others = {
        events["returned"]["by"]
        for share, events in budget_shares.lent_shares(ours)
        if "returned" in events and share.id not in pack.shares
    }
    if strange := others & set(pack.machines):
        yield f"speaks for {min(strange)}, whose own results came here"
    mine = {share.id for share, _ in budget_shares.lent_shares(ours)}
    runs = ours.execute(
        f"SELECT DISTINCT run FROM entries WHERE machine NOT IN ({_marks(machines)})", [*machines]
    )
    not_theirs = {run for (run,) in runs if run}
    for request, run in theirs.execute("SELECT DISTINCT request, run FROM entries"):
        if any(request.startswith(share) for share in mine):
            yield "ends a share by itself"
        if run in not_theirs:
            yield f"adds to the run {run}, which is not its own"
    mine_too = {
        request
        for request, machine in ours.execute(
            f"SELECT DISTINCT request, machine FROM entries WHERE class <> 'api' AND machine NOT IN ({_marks(machines)})",
            [*machines],
        )
        if not same_machine(machine, pack.machine)
    }
    for (request,) in theirs.execute("SELECT DISTINCT request FROM entries WHERE class <> 'api'"):
        if request in mine_too:
            yield f"adds to {request}, which is another machine's"
    for (intent,) in theirs.execute("SELECT DISTINCT intent FROM batches"):
        if ours.execute(
            f"""SELECT 1 FROM batch_requests WHERE intent = ? AND machine NOT IN ({_marks(machines)})
                UNION SELECT 1 FROM batches WHERE intent = ? AND recipe <> ? LIMIT 1""",
            (intent, *machines, intent, pack.recipe),
        ).fetchone():
            yield f"ends the batch {intent}, which is not its own"


def refuse_open_leases(db: sqlite3.Connection, pack: ResultsPack, path: Path) -> None:
    """After the merge, in its transaction: nothing of theirs is still rented, or it would be billed here. Raises UserError."""
    for lease in open_leases(db):
        if lease.machine in (pack.machine, *pack.machines):
            raise UserError(f"{path} leaves {lease.run} rented; nothing was merged", STRANGE)


def _marks(values: set[str]) -> str:
    return ", ".join("?" * len(values))
