"""A recipe arrives on another machine: its share is received, its steps are sealed here, and it lies there to be run."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, write_atomic, write_json
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget_shares import BudgetShare
from alpaca_pipe.ledger.pricing.user_prices import use_packed
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import union
from alpaca_pipe.pack.book_rows import RepliesChecked
from alpaca_pipe.pack.export_recipe import LEDGER_REPLIES
from alpaca_pipe.pack.ledger_rows import read_books
from alpaca_pipe.pack.manifest import STRANGE, RecipePack
from alpaca_pipe.pack.pinned_prices import FILE as PRICES
from alpaca_pipe.pack.pinned_prices import pins_in
from alpaca_pipe.pack.stranger_recipe import refuse_outside, spending_of
from alpaca_pipe.pack.unpacking import Say, Unpacked, aside, place_steps
from alpaca_pipe.recipe.plan import Step, steps_of
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace

Agree = Callable[[Sequence[str]], None]  # raises UserError where it is not


def arrive(
    path: Path,
    pack: RecipePack,
    catalog: Catalog,
    workspace: Workspace,
    into: Path,
    say: Say,
    agree: Agree,
) -> Unpacked:
    """Unpacks a recipe: its file and what it names into `into`, the rest into the workspace. All of it is read before anything
    is done. agree: asked once, where something in it wants to be agreed to. Raises UserError."""
    name, share = pack.recipe, pack.share
    with aside(path, pack, workspace) as draft:
        packed = draft / "recipe"
        loaded = load_recipe(str(packed / f"{name}.yaml"), catalog)
        if loaded.name != name or not pack.steps.keys() <= loaded.stages.keys():
            raise UserError(f"{path} holds another recipe than it says", STRANGE)
        refuse_outside(loaded, packed, path)
        files = {
            file.relative_to(packed).as_posix(): file_digest(file)
            for file in packed.rglob("*")
            if file.is_file()
        }
        _may_place(into, name, files, _received(workspace, share))
        _agreed(draft, loaded, path, share, say, agree)
        if not _receive(draft, pack, files, workspace):
            say("its share was received before")
        place_steps(draft, workspace.store, say)
        if (draft / PRICES).exists():
            write_atomic(workspace.packed_prices(name), (draft / PRICES).read_bytes())
        use_packed(workspace.packed_prices(name))
        _place(packed, into, name, files)
        recipe = load_recipe(str(into / f"{name}.yaml"), catalog)
        ready = {
            step.stage.kind: step.done.folder.name
            for step in _told(recipe, catalog, workspace, pack, say)
            if step.done
        }
        write_json(
            workspace.of(name) / "lock.json",
            {
                **workspace.lock(name),
                "recipe": name,
                "config": recipe.resolved(),
                "steps": {**pack.steps, **workspace.lock(name).get("steps", {}), **ready},
            },
        )
    return Unpacked(
        "recipe",
        name,
        ready,
        share.amount,
        share.says(),
        file=into / f"{name}.yaml",
        handed_over=pack.stage in pack.steps and share.lends_nothing,
    )


def _receive(draft: Path, pack: RecipePack, files: Mapping[str, str], workspace: Workspace) -> bool:
    """The share, and the replies that came along, in one transaction; False where the share was here before."""
    with ExitStack() as stack:
        if theirs := _replies(draft):
            stack.callback(theirs.close)
        journal = stack.enter_context(Journal.open(workspace.ledger))

        def work(db: sqlite3.Connection) -> bool:
            facts = {"steps": pack.steps, "files": files, "stage": pack.stage}
            new = budget_shares.receive(db, pack.share, facts)
            if theirs:
                union(db, theirs, workspace.ledger)
            return new

        return journal.write(work).result()


def _received(workspace: Workspace, share: BudgetShare) -> list[dict[str, Any]]:
    """What came here before under the recipe's name. Raises UserError as `may_receive` does; nothing is written."""
    if not workspace.ledger.exists():
        return []
    with Journal.open(workspace.ledger) as journal, journal.read() as db:
        budget_shares.may_receive(db, share)
        return budget_shares.received(db, share.recipe)


def _agreed(
    draft: Path, recipe: Recipe, path: Path, share: BudgetShare, say: Say, agree: Agree
) -> None:
    """Says what would be spent where, and asks where a key, or money, could go astray."""
    spending = spending_of(recipe, share)
    says, asks = list(spending.says), list(spending.asks)
    if (draft / PRICES).exists():
        priced, below = pins_in(draft / PRICES, recipe, path)
        says, asks = says + priced, asks + below
    for sentence in says:
        say(sentence)
    if asks:
        agree(asks)


def refuse_unasked(asks: Sequence[str]) -> None:
    """Where nobody can be asked. Raises UserError."""
    raise UserError(
        f"this pack wants to be agreed to: {'; '.join(asks)}",
        "`alpaca-pipe unpack FILE --read` prints its recipe and its code; then use --yes if you trust whoever made it",
    )


def _replies(draft: Path) -> Journal | None:
    """The raw replies as a ledger of their own, where they came along."""
    if not (draft / LEDGER_REPLIES).exists():
        return None
    read_books(draft / LEDGER_REPLIES, draft / "replies.sqlite", RepliesChecked())
    return Journal.open(draft / "replies.sqlite", read_only=True)


def _may_place(
    into: Path, name: str, files: Mapping[str, str], earlier: list[dict[str, Any]]
) -> None:
    """Nothing is overwritten but what lies there as we had unpacked it."""
    ours = {(file, digest) for facts in earlier for file, digest in facts["files"].items()} | set(
        files.items()
    )
    folder = into / f"{name}.files"
    there = [into / f"{name}.yaml", *(folder.rglob("*") if folder.is_dir() else [folder])]
    for file in there:
        if file.is_file() and (file.relative_to(into).as_posix(), file_digest(file)) not in ours:
            raise UserError(
                f"{file} is here already, and is not the packed one",
                "move it away, or unpack the recipe into another folder with --into",
            )


def _place(packed: Path, into: Path, name: str, files: Mapping[str, str]) -> None:
    """The files first, in one rename; the recipe last, since then it can be run."""
    folder = into / f"{name}.files"
    into.mkdir(parents=True, exist_ok=True)
    for left in [
        *into.glob(f".{name}.files.????????"),
        *into.glob(f".{name}.yaml.????????"),
    ]:  # of a killed one
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    there = (
        {
            f"{name}.files/{file.relative_to(folder).as_posix()}": file_digest(file)
            for file in folder.rglob("*")
            if file.is_file()
        }
        if folder.is_dir()
        else {}
    )
    if there != {file: digest for file, digest in files.items() if file != f"{name}.yaml"}:
        new, old = (into / f".{name}.files.{secrets.token_hex(4)}" for _ in range(2))
        if (packed / f"{name}.files").is_dir():
            shutil.copytree(packed / f"{name}.files", new)
        if folder.exists():
            folder.rename(old)
        if new.exists():
            new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    draft = into / f".{name}.yaml.{secrets.token_hex(4)}"
    shutil.copyfile(packed / f"{name}.yaml", draft)
    os.replace(draft, into / f"{name}.yaml")


def _told(
    recipe: Recipe, catalog: Catalog, workspace: Workspace, pack: RecipePack, say: Say
) -> list[Step]:
    """The plan here; a step that came and is not up to date all the same is said: another version judges otherwise."""
    steps = steps_of(recipe, catalog, workspace)
    for step in steps:
        if step.stage.kind in pack.steps and not step.done:
            say(
                f"{step.stage.kind} came along and must run again here: {step.why}; it was packed by alpaca-pipe {pack.by}"
            )
    return steps
