"""A recipe arrives on another machine: its share is received, its steps are sealed here, and it lies there to be run."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, write_json
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget_shares import BudgetShare
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import union
from alpaca_pipe.pack.archive import Manifest
from alpaca_pipe.pack.export_recipe import LEDGER_REPLIES
from alpaca_pipe.pack.ledger_rows import read_books
from alpaca_pipe.pack.pinned_prices import take_pins
from alpaca_pipe.pack.unpacking import STRANGE, Say, Unpacked, aside, place_steps
from alpaca_pipe.recipe.plan import Step, steps_of
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace


def arrive(
    path: Path, manifest: Manifest, catalog: Catalog, workspace: Workspace, into: Path, say: Say
) -> Unpacked:
    """Unpacks a recipe: its file and what it names into `into`, the rest into the workspace. Raises UserError."""
    facts = manifest.facts
    name, share = facts["recipe"], _share(path, facts)
    with aside(path, manifest, workspace) as (journal, draft):
        packed = draft / "recipe"
        if load_recipe(str(packed / f"{name}.yaml"), catalog).name != name:
            raise UserError(f"{path} holds another recipe than it says", STRANGE)
        with journal.read() as db:
            budget_shares.may_receive(db, share)
            earlier = budget_shares.received(db, name)
        files = {
            file.relative_to(packed).as_posix(): file_digest(file)
            for file in packed.rglob("*")
            if file.is_file()
        }
        _may_place(into, name, files, earlier)
        theirs = _replies(draft, name)
        try:

            def work(db: sqlite3.Connection) -> bool:
                new = budget_shares.receive(
                    db, share, {"steps": facts["steps"], "files": files, "stage": facts["stage"]}
                )
                if theirs:
                    union(db, theirs, workspace.ledger)
                return new

            if not journal.write(work).result():
                say("its share was received before")
        finally:
            if theirs:
                theirs.close()
        place_steps(draft, workspace.store, say)
        if (draft / "prices.yaml").exists():
            for sentence in take_pins(draft / "prices.yaml"):
                say(sentence)
        _place(packed, into, name, files)
        recipe = load_recipe(str(into / f"{name}.yaml"), catalog)
        ready = {
            step.stage.kind: step.done.folder.name
            for step in _told(recipe, catalog, workspace, facts, say)
            if step.done
        }
        write_json(
            workspace.of(name) / "lock.json",
            {
                **workspace.lock(name),
                "recipe": name,
                "config": recipe.resolved(),
                "steps": {**facts["steps"], **workspace.lock(name).get("steps", {}), **ready},
            },
        )
    return Unpacked("recipe", name, ready, share.amount, share.says(), file=into / f"{name}.yaml")


def _share(path: Path, facts: Mapping[str, Any]) -> BudgetShare:
    try:
        share = budget_shares.share_of(facts["share"])
        sound = (
            share.recipe == facts["recipe"]
            and budget_shares.is_share(share.id)
            and all(cap is None or type(cap) is int and cap >= 0 for cap in (share.gpu, share.api))
            and isinstance(share.home, str)
        )
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise UserError(f"{path} does not say which share it carries", STRANGE)
    return share


def _replies(draft: Path, recipe: str) -> Journal | None:
    """The raw replies as a ledger of their own, where they came along."""
    if not (draft / LEDGER_REPLIES).exists():
        return None
    read_books(draft / LEDGER_REPLIES, draft / "replies.sqlite", recipe)
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
    recipe: Recipe, catalog: Catalog, workspace: Workspace, facts: Mapping[str, Any], say: Say
) -> list[Step]:
    """The plan here; a step that came and is not up to date all the same is said: another version judges otherwise."""
    steps = steps_of(recipe, catalog, workspace)
    for step in steps:
        if step.stage.kind in facts["steps"] and not step.done:
            say(
                f"{step.stage.kind} came along and must run anew here: {step.why}; it was packed by alpaca-pipe {facts.get('by')}"
            )
    return steps
