"""Results come home: steps into the store, then books and the share's end in one transaction, then the history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl_so_far, write_json, write_jsonl
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import Merged, union
from alpaca_pipe.pack.archive import Manifest, look
from alpaca_pipe.pack.ledger_rows import FILE, read_books
from alpaca_pipe.pack.unpacking import Say, Unpacked, aside, place_steps
from alpaca_pipe.recipe.workspace import Workspace

_TO_THE_SECOND = 19  # characters of a run's id


def come_home(path: Path, manifest: Manifest, workspace: Workspace, say: Say) -> Unpacked:
    """Unpacks results where the recipe was packed. A second time changes nothing. Raises UserError."""
    facts = manifest.facts
    name = facts["recipe"]
    if not workspace.ledger.exists():
        raise UserError(
            f"{path} holds results of '{name}', which was not packed in {workspace.root}",
            "unpack them where it was packed, or name that workspace with --runs",
        )
    with aside(path, manifest, workspace) as (journal, draft):
        with journal.read() as db:
            mine = {
                share.id: (share, events.get("packed", {}).get("steps", {}))
                for share, events in budget_shares.lent_shares(db, name)
            }
        known = [mine[id_][0] for id_ in facts["shares"] if id_ in mine]
        if len(known) < len(facts["shares"]) or not known:
            raise UserError(
                f"{path} holds results of a '{name}' that was not packed in this workspace",
                "unpack them where it was packed, or name that workspace with --runs",
            )
        read_books(draft / FILE, draft / "books.sqlite", name)
        with Journal.open(draft / "books.sqlite", read_only=True) as theirs:
            spent = theirs.totals().spent
            place_steps(draft, workspace.store, say)

            def work(db: sqlite3.Connection) -> tuple[Merged, list[bool]]:
                merged = union(db, theirs, workspace.ledger)
                return merged, [
                    budget_shares.come_back(db, share, facts["machine"]) for share in known
                ]

            merged, ended = journal.write(work).result()
        journal.check()
        with journal.read() as db:
            twice = [
                share
                for share in known
                if (by := dict(budget_shares.lent_shares(db, name))[share]["returned"]["by"])
                and by != facts["machine"]
            ]
        for share in twice:
            say(
                f"{share.file} was unpacked on two machines: its {shown(share.amount)} were spendable twice; a pack is for one"
            )
        total = sum(share.amount for share in known)
        if spent > total and any(share.gpu is not None for share in known):
            say(f"{shown(spent)} were spent there, {shown(spent - total)} more than was shared")
        _take_history(draft, workspace, name, facts)
        _take_steps(workspace, name, facts["steps"], mine[known[-1].id][1], say)
    if not merged.entries and not any(ended):
        say("these results were unpacked before: nothing changed")
    return Unpacked(
        "results",
        name,
        facts["steps"],
        total,
        " and ".join(share.says() for share in known),
        spent,
        merged.entries,
    )


def give_up(what: str, spent: int | None, workspace: Workspace) -> budget_shares.BudgetShare:
    """Ends a share whose results will not come, by the name of its file or its own. Raises UserError."""
    from alpaca_pipe.recipe.locks import held

    if not workspace.ledger.exists():
        raise UserError(f"nothing was lent in {workspace.root}", "name the workspace with --runs")
    id_ = what if budget_shares.is_share(what) else None
    if id_ is None and Path(what).is_file():
        id_ = (look(Path(what)).facts.get("share") or {}).get("id")
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


def _take_history(draft: Path, workspace: Workspace, name: str, facts: Mapping[str, Any]) -> None:
    """Runs that are not known here, in the order of time; the log's lines; and what the last of them made."""
    own, lock = workspace.of(name), workspace.lock(name)
    history = {row["run"]: row for row in read_jsonl_so_far(own / "history.jsonl")}
    new = [row for row in read_jsonl_so_far(draft / "history.jsonl") if row["run"] not in history]
    for row in new:
        if lock.get("config") and set(lock.get("steps", {}).items()) <= set(row["steps"].items()):
            row["config"] = lock["config"]  # the same recipe: with the paths of here
        history[row["run"]] = {**row, "machine": facts["machine"]}
    if new:
        write_jsonl(
            own / "history.jsonl",
            sorted(history.values(), key=lambda row: str(row["run"])[:_TO_THE_SECOND]),
        )  # else as they came
    known = {json.dumps(row, ensure_ascii=False) for row in read_jsonl_so_far(own / "log.jsonl")}
    lines = [
        row
        for row in read_jsonl_so_far(draft / "log.jsonl")
        if json.dumps(row, ensure_ascii=False) not in known
    ]
    if lines:
        write_jsonl(own / "log.jsonl", [*read_jsonl_so_far(own / "log.jsonl"), *lines])


def _take_steps(
    workspace: Workspace, name: str, steps: Mapping[str, str], went: Mapping[str, str], say: Say
) -> None:
    """What was made there is the recipe's last run, unless what went there is not the recipe's any more."""
    lock = workspace.lock(name)
    if not lock or set(steps.items()) <= set(lock["steps"].items()):
        return
    if other := [
        kind for kind, folder in went.items() if lock["steps"].get(kind, folder) != folder
    ]:
        say(
            f"{' and '.join(other)} of the last run of {name} here is another one: what came stands in its history, and the last run stays"
        )
        return
    write_json(workspace.of(name) / "lock.json", {**lock, "steps": {**lock["steps"], **steps}})
