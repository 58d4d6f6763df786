"""`pack RECIPE --for STAGE`: the recipe, the sealed steps that come before, and a share of what is left of its budget."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpaca_pipe import __version__
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl_so_far, same_file, write_atomic
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget_shares import BudgetShare
from alpaca_pipe.ledger.machine import meter
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.archive import Source, write_box
from alpaca_pipe.pack.ledger_rows import write_replies
from alpaca_pipe.pack.manifest import RecipePack, opened
from alpaca_pipe.pack.pinned_prices import FILE as PRICES
from alpaca_pipe.pack.pinned_prices import pins_for
from alpaca_pipe.pack.relocate import Portable, portable, same_recipe
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.recipe.plan import Step, steps_of
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace

SUFFIX = ".tar.zst"
LEDGER_REPLIES = "replies.jsonl"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Packed:
    """file: the pack.  share: None in results.  size: bytes of the file."""

    file: Path
    kind: str
    recipe: str
    steps: Mapping[str, str]
    size: int
    share: BudgetShare | None = None


def pack(
    recipe: Recipe,
    catalog: Catalog,
    workspace: Workspace,
    stage: str,
    say: Say,
    *,
    out: Path | None = None,
    gpu: int | None = None,
    api: int | None = None,
    replies: bool = False,
) -> Packed:
    """Writes the file, whole or not at all, and lends the share with it. gpu, api: nano-dollars; None: all that is left for
    the machine, nothing for requests. stage "": the finished recipe is handed over, with nothing to spend unless it is said.
    Killed at any moment: the same call goes on. Raises UserError."""
    file = out or Path(f"{recipe.name}{SUFFIX}")
    if not stage:
        gpu = gpu or 0
    elif stage not in recipe.stages:
        raise UserError(
            f"{recipe.name}: there is no stage '{stage}'", f"it has: {', '.join(recipe.stages)}"
        )
    refuse_missing_ledger(workspace)
    own = workspace.of(recipe.name)
    with held(own / ".lock", str(own)), Journal.open(workspace.ledger) as journal:
        finished = _finished(journal, recipe.name, file, say)
        with drafts(own, file) as scratch:
            return finished or _packed(
                recipe, catalog, workspace, stage, journal, file, scratch, gpu, api, replies
            )


def _packed(
    recipe: Recipe,
    catalog: Catalog,
    workspace: Workspace,
    stage: str,
    journal: Journal,
    file: Path,
    scratch: Path,
    gpu: int | None,
    api: int | None,
    replies: bool,
) -> Packed:
    may_replace(journal, file)
    journal.recover(recipe.name)
    meter.recover(journal, recipe.name)
    steps = _ready(steps_of(recipe, catalog, workspace), stage)
    stage = stage or steps[-1].stage.kind
    copy = _checked(recipe, portable(recipe), catalog, scratch)
    files: dict[str, Source] = {f"recipe/{name}": path for name, path in copy.files.items()}
    files[f"recipe/{recipe.name}.yaml"] = copy.text.encode()
    for step in steps:
        assert step.done is not None
        files |= step_files(step.done.folder)
    if pinned := pins_for(recipe):
        files[PRICES] = pinned.encode()
    if replies:
        files[LEDGER_REPLIES] = _replies(journal, recipe.name, steps, scratch / LEDGER_REPLIES)
    caps = workspace.caps(recipe)
    share = journal.write(
        lambda db: budget_shares.lend(
            db,
            caps,
            recipe.name,
            journal.machine,
            gpu=gpu,
            api=api,
            stage=stage,
            file=str(file.absolute()),
        )
    ).result()
    try:
        named = {step.stage.kind: step.done.folder.name for step in steps if step.done}
        draft = write_box(
            file,
            facts_of(
                "recipe",
                recipe.name,
                stage=stage,
                steps=named,
                share=asdict(share) | {"file": file.name},
            ),
            files,
        )
        opened(draft)  # what would be refused there is not lent
    except BaseException:
        journal.write(lambda db: budget_shares.take_back(db, share)).result()
        raise
    journal.write(
        lambda db: budget_shares.note_packed(db, share, named, recipe.overrides)
    ).result()  # from here on the share is out: see _finished
    os.replace(draft, file)
    return Packed(file, "recipe", recipe.name, named, file.stat().st_size, share)


def facts_of(kind: str, recipe: str, **facts: Any) -> dict[str, Any]:
    """The beginning of a manifest."""
    return {
        "kind": kind,
        "recipe": recipe,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": __version__,
        **facts,
    }


def step_files(folder: Path) -> dict[str, Source]:
    """Of a sealed step, with its identity and its seal."""
    from alpaca_pipe.recipe.store import StepStore

    done = StepStore(folder.parent).done(folder)
    names = ("stage.json", "done.json", *(done.files if done else ()))
    return {f"store/{folder.name}/{name}": folder / name for name in names}


@contextmanager
def drafts(own: Path, file: Path) -> Iterator[Path]:
    """A folder for the time of packing; what a killed one left goes first. Hold the recipe's lock."""
    scratch = own / ".packing"
    shutil.rmtree(scratch, ignore_errors=True)
    for left in _drafts_of(file):
        left.unlink(missing_ok=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _finished(journal: Journal, recipe: str, file: Path, say: Say) -> Packed | None:
    """Packs that were killed. Until a share is noted as packed nobody can have its file, so it is taken back; from then on its
    draft is whole, and only gets its name."""
    with journal.read() as db:
        lent = [
            (share, events)
            for share, events in budget_shares.lent_shares(db, recipe)
            if not budget_shares.ENDED & set(events)
        ]
    done = None
    for share, events in lent:
        if "packed" not in events:
            journal.write(lambda db, share=share: budget_shares.take_back(db, share)).result()  # type: ignore[misc]
            continue
        for draft in _drafts_of(Path(share.file)):
            if (there := _share_in(draft)) and there.share.id == share.id:
                os.replace(draft, share.file)
                if Path(share.file) == file.absolute():
                    say("an earlier call was killed after its file was whole")
                    done = Packed(file, "recipe", recipe, there.steps, file.stat().st_size, share)
    return done


def _drafts_of(file: Path) -> list[Path]:
    return list(file.absolute().parent.glob(f".{file.name}.????????"))


def refuse_folder(file: Path) -> None:
    if file.is_dir():
        raise UserError(f"{file} is a folder", f"name a file: -o {file / 'NAME'}{SUFFIX}")


def may_replace(journal: Journal, file: Path) -> None:
    """Raises UserError for a folder, a file that is no pack, or one whose share is still out; a share of nothing ends."""
    refuse_folder(file)
    if not file.exists():
        return
    found = opened(file)  # a file of somebody else's is not overwritten
    carried = found.share.id if isinstance(found, RecipePack) else None
    with journal.read() as db:
        lent = next((share for share in budget_shares.out(db) if share.id == carried), None)
    if lent is None:
        return
    if (lent.gpu, lent.api) != (0, 0):
        raise UserError(
            f"{file} was packed before, and its share ({lent.says()}) is out",
            f"unpack its results, or give it up: `alpaca-pipe unpack {file} --give-up`; -o NAME packs a second one",
        )
    # One that lends nothing may be packed again; given up, as results of the older file may come all the same.
    journal.write(lambda db: budget_shares.give_up(db, lent, 0)).result()


def _share_in(file: Path) -> RecipePack | None:
    try:
        found = opened(file)
    except UserError:
        return None
    return found if isinstance(found, RecipePack) else None


def _ready(steps: list[Step], stage: str) -> list[Step]:
    """The sealed steps that travel. Raises UserError where one must run first, or none is left to run; without a stage, where
    none is made."""
    kinds = [step.stage.kind for step in steps]
    if not stage and not any(step.done for step in steps):
        raise UserError("nothing of it is made yet", "run it first: `alpaca-pipe run RECIPE`")
    for step in steps[: kinds.index(stage)] if stage else ():
        if step.done is None:
            raise UserError(
                f"{stage}: {step.stage.kind} must run first ({step.why})",
                f"run it here: `alpaca-pipe run RECIPE --until {kinds[kinds.index(stage) - 1]}`",
            )
    if stage and all(step.done for step in steps):
        raise UserError(
            f"every step from {stage} on is up to date here",
            "there is nothing left to run elsewhere; `alpaca-pipe pack RECIPE` hands it over as it is",
        )
    for step in steps:
        if step.done and (damage := step.done.damage(read_again=True)):
            raise UserError(
                f"{step.done.folder}: {damage}",
                "nothing was packed or lent; `alpaca-pipe run RECIPE` makes that step again from what is paid for",
            )
    return [step for step in steps if step.done]


def _checked(recipe: Recipe, copy: Portable, catalog: Catalog, scratch: Path) -> Portable:
    """The copy, once it is known to be the same recipe where nothing but itself is there."""
    place = scratch / "recipe"
    for name, path in copy.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        same_file(path, place / name)
    write_atomic(place / f"{recipe.name}.yaml", copy.text)
    if other := same_recipe(recipe, load_recipe(str(place / f"{recipe.name}.yaml"), catalog)):
        raise UserError(
            f"'{other}:' of {recipe.name} would be another one elsewhere",
            "report this, with the recipe",
        )
    return copy


def _replies(journal: Journal, recipe: str, steps: list[Step], file: Path) -> Path:
    keys = [
        key
        for step in steps
        if step.done
        for row in read_jsonl_so_far(step.done.folder / "seats.jsonl")
        for key in row.get("keys", ())
    ]
    with journal.read() as db:
        write_replies(db, recipe, keys, file)
    return file
