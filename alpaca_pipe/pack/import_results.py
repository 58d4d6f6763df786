"""Results come home: steps into the store, then books and the share's end in one transaction, then the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.own_files import history_of, log_row
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal, totals_of
from alpaca_pipe.ledger.store.merge_ledgers import Merged, union
from alpaca_pipe.pack.book_rows import BooksChecked
from alpaca_pipe.pack.foreign_books import refuse_open_leases, refuse_ours
from alpaca_pipe.pack.ledger_rows import FILE, read_books
from alpaca_pipe.pack.manifest import STRANGE, RecipePack, ResultsPack, opened
from alpaca_pipe.pack.runs_that_came import take_runs
from alpaca_pipe.pack.unpacking import Say, Unpacked, aside, place_steps
from alpaca_pipe.recipe.workspace import Workspace


def come_home(
    path: Path, pack: ResultsPack, workspace: Workspace, say: Say, lowered: bool = False
) -> Unpacked:
    """Unpacks results where the recipe was packed; all of them are read before anything is done. A second time changes nothing.
    lowered: the user agrees that they say less was spent than earlier ones of that machine did. Raises UserError."""
    name = pack.recipe
    not_here = UserError(
        f"{path} holds results of a '{name}' that was not packed in this workspace",
        "unpack them where it was packed, or name that workspace with --runs",
    )
    if not workspace.ledger.exists():
        raise UserError(
            f"{path} holds results of '{name}', which was not packed in {workspace.root}",
            "unpack them where it was packed, or name that workspace with --runs",
        )
    with aside(path, pack, workspace) as draft, Journal.open(workspace.ledger) as journal:
        with journal.read() as db:
            mine = dict(_packed_here(db, pack))
        known = [mine[id_][0] for id_ in pack.shares if id_ in mine]
        if len(known) < len(pack.shares) or {share.home for share in known} != {pack.home}:
            raise not_here
        history, log = _runs_in(draft, pack, path), _log_in(draft)
        machines = frozenset({pack.machine, *pack.machines})
        read_books(draft / FILE, draft / "books.sqlite", BooksChecked(name, machines))
        with Journal.open(draft / "books.sqlite", read_only=True) as theirs:
            spent = theirs.totals().spent
            with journal.read() as db, theirs.read() as books:
                refuse_ours(db, books, pack, journal.machine, path)
            otherwise = place_steps(draft, workspace.store, say)
            merged, ended = _merged(journal, theirs, path, pack, known, lowered)
        journal.check()
        _tell_of_shares(journal, pack, known, spent, say)
        told = take_runs(workspace, pack, history, log, otherwise, mine[known[-1].id][1], say)
    if not merged.entries and not any(ended):
        say("these results were unpacked before: nothing changed")
    return Unpacked(
        "results",
        name,
        pack.steps,
        sum(share.amount for share in known),
        " and ".join(share.says() for share in known),
        spent,
        merged.entries,
        apart=told.apart,
        why=told.why,
        changed=told.changed,
    )


def _merged(
    journal: Journal,
    theirs: Journal,
    path: Path,
    pack: ResultsPack,
    known: list[budget_shares.BudgetShare],
    lowered: bool,
) -> tuple[Merged, list[bool]]:
    """Their books in ours and the end of the shares, in one transaction."""

    def work(db: sqlite3.Connection) -> tuple[Merged, list[bool]]:
        before = totals_of(db).spent
        merged = union(db, theirs, journal.path)
        refuse_open_leases(db, pack, path)
        if (less := before - totals_of(db).spent) > 0 and not lowered:
            raise UserError(
                f"{path} says that {shown(less)} less was spent than earlier results of its machine did",
                "ask whoever worked there; then use --yes, or leave the books as they are",
            )
        return merged, [budget_shares.come_back(db, share, pack.machine) for share in known]

    return journal.write(work).result()


def _packed_here(
    db: sqlite3.Connection, pack: ResultsPack
) -> Iterator[tuple[str, tuple[budget_shares.BudgetShare, Mapping[str, Any]]]]:
    for share, events in budget_shares.lent_shares(db, pack.recipe):
        yield share.id, (share, events.get("packed", {}))


def _tell_of_shares(
    journal: Journal,
    pack: ResultsPack,
    known: list[budget_shares.BudgetShare],
    spent: int,
    say: Say,
) -> None:
    with journal.read() as db:
        events = {share: told for share, told in budget_shares.lent_shares(db, pack.recipe)}
    for share in known:
        if (by := events[share]["returned"]["by"]) and by != pack.machine:
            say(
                f"{share.file} was unpacked on two machines: its {shown(share.amount)} were spendable twice; a pack is for one"
            )
    total = sum(share.amount for share in known)
    if spent > total and any(share.gpu is not None for share in known):
        say(f"{shown(spent)} were spent there, {shown(spent - total)} more than was shared")


def give_up(what: str, spent: int | None, workspace: Workspace) -> budget_shares.BudgetShare:
    """Ends a share whose results will not come, by the name of its file or its own. Raises UserError."""
    from alpaca_pipe.recipe.locks import held

    if not workspace.ledger.exists():
        raise UserError(f"nothing was lent in {workspace.root}", "name the workspace with --runs")
    id_ = what if budget_shares.is_share(what) else None
    if id_ is None and Path(what).is_file():
        found_there = opened(Path(what))
        id_ = found_there.share.id if isinstance(found_there, RecipePack) else None
    with Journal.open(workspace.ledger) as journal:
        with journal.read() as db:
            out = budget_shares.out(db)
        named = [
            share
            for share in out
            if share.id == id_ or id_ is None and Path(share.file).name == Path(what).name
        ]
        if len(named) > 1:
            told = ", ".join(f"{share.id} ({share.file}, {share.says()})" for share in named)
            raise UserError(
                f"{len(named)} shares are out with a file of that name: {told}",
                "name the share in place of the file",
            )
        found = next(iter(named), None)
        if found is None:
            names = ", ".join(f"{share.id} ({Path(share.file).name})" for share in out)
            raise UserError(
                f"no share of {what} is out",
                f"out are: {names}" if names else "nothing is lent here",
            )
        own = workspace.of(found.recipe)
        with held(own / ".lock", str(own)):
            journal.write(lambda db: budget_shares.give_up(db, found, spent)).result()
    return found


def _runs_in(draft: Path, pack: ResultsPack, path: Path) -> list[dict[str, Any]]:
    """The runs that a pack tells of. Raises UserError for what is none, and for a step that neither they nor it name."""
    history = history_of(draft / "history.jsonl")
    named = {*pack.steps.values(), *(name for row in history for name in row["steps"].values())}
    store = draft / "store"
    for folder in store.iterdir() if store.is_dir() else ():
        if folder.name not in named:
            raise UserError(f"{path} holds a step {folder.name} that no run of it made", STRANGE)
    return history


def _log_in(draft: Path) -> list[dict[str, Any]]:
    """Raises UserError for a line that is none of ours."""
    rows = []
    file = draft / "log.jsonl"
    for number, line in enumerate(file.read_bytes().split(b"\n") if file.exists() else (), 1):
        if line.strip():
            row = log_row(line)
            if row is None:
                raise UserError(
                    f"line {number} of the log in this pack is not as alpaca-pipe writes it",
                    STRANGE,
                )
            rows.append(row)
    return rows
