"""Whether a workspace is as alpaca-pipe left it: the sealed steps byte by byte, the books, and each recipe's own files. Only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.data.own_files import begun_of, history_of, identity_of, lock_of
from alpaca_pipe.ledger.budget import read_budget
from alpaca_pipe.ledger.store import connection
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.locks import holder
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.recipe.status import recipes_of
from alpaca_pipe.recipe.workspace import Workspace

State = Literal[
    "whole", "open", "damaged"
]  # open: begun and not sealed, or in use; that is no fault
_CURES = {
    "store": "run its recipe again: the step is made again, and what was paid for comes from the ledger",
    "ledger": "keep the file, it is the record of what was paid, and put a copy back",
    "own": "put a copy back, or move it away and run the recipe again",
}


@dataclass(frozen=True)
class Verified:
    """One thing of a workspace. what: its path there.  says: what was checked, or what is wrong."""

    what: str
    state: State
    says: str
    cure: str = ""

    def to_row(self) -> dict[str, str]:
        return {"what": self.what, "state": self.state, "says": self.says, "cure": self.cure}

    def __str__(self) -> str:
        return f"{self.state:<8} {self.what}: {self.says}{f' - {self.cure}' if self.cure else ''}"


def verify(workspace: Workspace) -> Iterator[Verified]:
    """Of everything that alpaca-pipe reads again: every byte is read, whatever a file's time says. UserError where there is
    no workspace."""
    if not workspace.root.is_dir():
        raise UserError(f"there is no workspace {workspace.root}", "name it with --runs")
    root = workspace.store.root
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith("."):
            yield _checked(f"store/{folder.name}", "store", partial(_step, workspace, folder))
    yield _checked(workspace.ledger.name, "ledger", partial(_books, workspace))
    if (budget := workspace.root / "budget.yaml").exists():
        yield _checked(budget.name, "", partial(_caps, budget))
    for recipe in recipes_of(workspace):
        yield _checked(recipe, "own", partial(_own, workspace, recipe))


def print_verified(workspace: Workspace, as_json: bool) -> bool:
    """A line for each thing; whether all is whole."""
    found = []
    for one in verify(workspace):
        found.append(one)
        if not as_json:
            echo(one)
    damaged = [one for one in found if one.state == "damaged"]
    if as_json:
        echo_json({"whole": not damaged, "found": [one.to_row() for one in found]})
    else:
        echo(f"{len(found)} checked, {len(damaged) or 'none'} damaged")
    return not damaged


def _checked(what: str, cure: str, look: Callable[[], tuple[State, str]]) -> Verified:
    try:
        state, says = look()
    except UserError as error:
        return Verified(what, "damaged", error.what, error.cure)
    except OSError as error:
        return Verified(what, "damaged", f"cannot be read: {error.strerror}", "check the disk")
    return Verified(what, state, says, _CURES.get(cure, "") if state == "damaged" else "")


def _step(workspace: Workspace, folder: Path) -> tuple[State, str]:
    store = workspace.store
    identity = identity_of(folder)
    done = store.done(folder)
    if done is None:
        lock = folder.with_name(f".{folder.name}.lock")
        if identity is None and any(folder.iterdir()):
            return "damaged", "stage.json is gone"
        return "open", "in use" if holder(lock) else "begun and not sealed"
    if identity is None:
        return "damaged", "stage.json is gone"
    if store.folder(identity).name != folder.name.partition(".")[0]:
        return "damaged", "stage.json tells of another step than the folder's name"
    if damage := done.damage(read_again=True):
        return "damaged", damage
    unknown = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
    more = [name for name in unknown if name not in {*done.files, "stage.json", "done.json"}]
    if more:
        return "damaged", f"{more[0]} was added after it was sealed"
    size = sum(int(seal["size"]) for seal in done.files.values())
    return "whole", f"{len(done.files)} files, {size:,} bytes as sealed {done.finished[:16]}"


def _books(workspace: Workspace) -> tuple[State, str]:
    refuse_missing_ledger(workspace)
    path = workspace.ledger
    if not path.exists():
        return "open", "nothing was asked or rented yet"
    try:
        with closing(connection.read_only(path)) as db:
            first = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if first != "ok":
                return "damaged", f"SQLite says: {' '.join(str(first).split())[:200]}"
            entries, replies = (
                db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                for table in ("entries", "replies")
            )
            unpaid = db.execute(
                """SELECT COUNT(*) FROM entries AS e WHERE kind = 'settled' AND class = 'api' AND nanodollars > 0
                   AND NOT EXISTS (SELECT 1 FROM replies WHERE key = e.request)"""
            ).fetchone()[0]
        with closing(Journal.open(path, read_only=True)) as journal:
            pending = journal.totals().pending
    except sqlite3.Error as error:
        raise connection.explained(error, path) from None
    apart = f", {unpaid:,} paid on another machine, whose replies stayed there" if unpaid else ""
    under_way = f", {pending:,} attempts open" if pending else ""
    return (
        "whole",
        f"{entries:,} entries that match the balances, {replies:,} replies{apart}{under_way}",
    )


def _caps(file: Path) -> tuple[State, str]:
    read_budget(file)
    return "whole", "caps that can be read"


def _own(workspace: Workspace, recipe: str) -> tuple[State, str]:
    own = workspace.of(recipe)
    steps, begun = lock_of(own).get("steps", {}), begun_of(own)
    history = history_of(own / "history.jsonl")
    gone = sorted(
        f"{kind} ({name})"
        for kind, name in steps.items()
        if not (workspace.store.root / name).is_dir()
    )
    if gone:
        return "damaged", f"lock.json names steps that are gone: {', '.join(gone)}"
    return "whole", f"lock.json names {len(steps)} steps, {len(history)} runs, {len(begun)} begun"
