"""`pack RECIPE --only results`: what was made and spent here since the recipe came, for the machine that it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl_so_far
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.machine import meter
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.archive import Source, write_box
from alpaca_pipe.pack.export_recipe import SUFFIX, Packed, drafts, facts_of, may_replace, step_files
from alpaca_pipe.pack.ledger_rows import FILE, open_attempts, write_books
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.same_name import KEY as FILE_KEY
from alpaca_pipe.recipe.workspace import Workspace


def pack_results(
    recipe: str,
    workspace: Workspace,
    say: Callable[[str], None],
    *,
    out: Path | None = None,
    replies: bool = False,
) -> Packed:
    """Writes the file, whole or not at all, after nothing more can be spent here under the share. The same call again
    writes it again. Raises UserError."""
    file, own = out or Path(f"{recipe}-results{SUFFIX}"), workspace.of(recipe)
    if not workspace.ledger.exists():
        raise UserError(
            f"nothing was unpacked in {workspace.root}", "name the workspace with --runs"
        )
    with (
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
        drafts(own, file) as scratch,
    ):
        came = _shares(journal, recipe, workspace)
        may_replace(journal, file)
        journal.recover(recipe)
        meter.recover(journal, recipe)
        _refuse_waiting(journal, recipe)
        history = list(read_jsonl_so_far(own / "history.jsonl"))
        named, files = _steps_made_here(workspace, recipe, history, came)
        with journal.read() as db:
            machines = {
                machine
                for (machine,) in db.execute(
                    "SELECT DISTINCT machine FROM entries WHERE recipe = ? AND id > ?",
                    (recipe, came[0]["after"]),
                )
            }
        nothing = not files and not machines
        journal.write(
            lambda db: budget_shares.close(db, recipe)
        ).result()  # last: what was refused above can still be paid for here
        with journal.read() as db:
            behind = write_books(db, recipe, came[0]["after"], replies, scratch / FILE)
        files |= {
            FILE: scratch / FILE,
            "history.jsonl": _lines(
                [{key: row[key] for key in row if key != FILE_KEY} for row in history]
            ),
            "log.jsonl": _lines(list(read_jsonl_so_far(own / "log.jsonl"))),
        }
        facts = facts_of(
            "results",
            recipe,
            steps=named,
            shares=[one["id"] for one in came],
            home=came[0]["home"],
            machine=journal.machine,
            machines=sorted(machines - {journal.machine}),  # of shares that were lent on
        )
        os.replace(write_box(file, facts, files), file)
    if nothing:
        say(
            f"nothing of '{recipe}' was made or spent here; its share is closed anyway and goes back with this file"
        )
    if behind:
        say(f"{behind:,} raw replies that were bought here stay here; --replies takes them along")
    return Packed(file, "results", recipe, named, file.stat().st_size)


def _shares(journal: Journal, recipe: str, workspace: Workspace) -> list[dict[str, Any]]:
    """The packs that were unpacked here, all of whose results can go back."""
    with journal.read() as db:
        came = budget_shares.received(db, recipe)
        still_out = [one for one in budget_shares.out(db, recipe) if (one.gpu, one.api) != (0, 0)]
    if not came:
        raise UserError(
            f"'{recipe}' was not unpacked in {workspace.root}, so there is no place to send results to",
            "results go from the machine where a pack was unpacked; name its workspace with --runs",
        )
    if still_out:
        raise UserError(
            f"{still_out[0].file} was packed from here, and its share is out",
            "unpack its results here first, or give it up with `alpaca-pipe unpack FILE --give-up`",
        )
    return came


def _refuse_waiting(journal: Journal, recipe: str) -> None:
    with journal.read() as db:
        waiting = open_attempts(db, recipe)
    if waiting:
        raise UserError(
            f"{waiting:,} requests lie with the provider as a batch",
            f"`alpaca-pipe run {recipe}` collects them, "
            f"`alpaca-pipe teachers cancel {recipe}` ends them; then pack",
        )


def _steps_made_here(
    workspace: Workspace,
    recipe: str,
    history: list[Any],
    came: list[dict[str, Any]],
) -> tuple[dict[str, str], dict[str, Source]]:
    """The sealed steps that the recipe's lock names, and the files of all that no pack brought."""
    files: dict[str, Source] = {}
    named = {
        kind: name
        for kind, name in workspace.lock(recipe).get("steps", {}).items()
        if workspace.store.done(workspace.store.root / name)
    }
    arrived = {name for facts in came for name in facts["steps"].values()}
    ran = {name for run in history for name in run.get("steps", {}).values()}
    for name in {*named.values(), *ran} - arrived:
        if done := workspace.store.done(workspace.store.root / name):
            if damage := done.damage(read_again=True):
                raise UserError(
                    f"{done.folder}: {damage}", f"`alpaca-pipe run {recipe}` makes it again"
                )
            files |= step_files(done.folder)
    return named, files


def _lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
