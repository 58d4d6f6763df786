"""`unpack FILE`: everything is read and checked aside, then put in its place in an order in which a kill does no harm.

The share is received before the recipe is there to be run; results are merged into the books in one transaction with the
end of their share. Each move leaves what is there alone, so the same call again finishes what a killed one began.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json
from alpaca_pipe.core.safe_names import is_recipe_name
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.archive import Manifest, look, read_box
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.store import SCRATCH, StepStore
from alpaca_pipe.recipe.workspace import Workspace

Say = Callable[[str], None]
STRANGE = "it was not made by `alpaca-pipe pack`: do not trust it"
_ALONE = {
    "recipe": {"prices.yaml", "replies.jsonl"},
    "results": {"books.jsonl", "history.jsonl", "log.jsonl"},
}


@dataclass(frozen=True)
class Unpacked:
    """steps: kind -> folder, of those that are sealed here now.  share, spent: nano-dollars.  says: the share in words.
    entries: added to the books."""

    kind: str
    recipe: str
    steps: Mapping[str, str] = field(default_factory=dict)
    share: int = 0
    says: str = ""
    spent: int = 0
    entries: int = 0
    file: Path | None = None  # of the recipe


def opened(path: Path) -> Manifest:
    """What a pack says that it is, and whether we understand it. Raises UserError."""
    manifest = look(path)
    facts = manifest.facts
    whole = {"recipe": str, "steps": dict, "made": str} | (
        {"share": dict, "stage": str}
        if facts.get("kind") == "recipe"
        else {"shares": list, "machine": str, "home": str}
    )
    if (
        facts.get("kind") not in _ALONE
        or not all(isinstance(facts.get(name), kind) for name, kind in whole.items())
        or not is_recipe_name(facts["recipe"])
    ):
        raise UserError(f"{path} does not say what it holds", STRANGE)
    name, alone = facts["recipe"], _ALONE[facts["kind"]]
    for file in manifest.files:
        below = facts["kind"] == "recipe" and (
            file == f"recipe/{name}.yaml" or file.startswith(f"recipe/{name}.files/")
        )
        if not (file in alone or below or file.startswith("store/") and file.count("/") >= 2):
            raise UserError(f"{path} holds {file}, which belongs to no pack", STRANGE)
    return manifest


@contextmanager
def aside(path: Path, manifest: Manifest, workspace: Workspace) -> Iterator[tuple[Journal, Path]]:
    """The recipe's lock, the workspace's ledger, and the pack's files in a folder of their own, each as it was packed."""
    own = workspace.of(manifest.facts["recipe"])
    draft = own / ".unpacking"
    with held(own / ".lock", str(own)):
        shutil.rmtree(draft, ignore_errors=True)
        for left in own.glob(".*.json*.????????"):  # drafts of a killed one
            left.unlink()
        draft.mkdir(parents=True)
        try:
            if read_box(path, draft) != manifest:
                raise UserError(f"{path} was changed while it was read", "unpack it again")
            _check_steps(path, StepStore(draft / "store"))
            with Journal.open(workspace.ledger) as journal:
                yield journal, draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _check_steps(path: Path, store: StepStore) -> None:
    """Each is what its name says, whole, and nothing else."""
    for folder in sorted(store.root.iterdir()) if store.root.is_dir() else ():
        try:
            identity, done = read_json(folder / "stage.json"), store.done(folder)
            sound = (
                isinstance(identity, dict)
                and store.folder(identity) == folder
                and done is not None
                and not done.damage()
            )
        except (OSError, ValueError, KeyError, TypeError):
            sound = False
        there = {
            file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
        }
        if not sound or done is None or there != {"stage.json", "done.json", *done.files}:
            raise UserError(
                f"{path} holds a step {folder.name} that is not sealed as it should be", STRANGE
            )


def place_steps(draft: Path, store: StepStore, say: Say) -> list[str]:
    """Moves the steps into the store; one that is there already stays. Answers the names of those that came."""
    came = []
    for folder in sorted((draft / "store").iterdir()) if (draft / "store").is_dir() else ():
        target = store.root / folder.name
        with held(store.root / f".{folder.name}.lock", f"the step {folder.name}"):
            here, theirs = store.done(target), StepStore(folder.parent).done(folder)
            assert theirs is not None
            if here and not here.damage():
                if here.files != theirs.files:
                    say(
                        f"{folder.name} was made here too, with other bytes; ours stays, and what was made from theirs is not taken "
                        "for what is made from ours"
                    )
                continue
            if here:
                say(f"a damaged {folder.name} is set aside as {store.set_aside(target).name}")
            elif target.exists():
                if (target / SCRATCH).exists() or any(target.iterdir()):
                    say(
                        f"an interrupted {folder.name} is set aside as {store.set_aside(target).name}"
                    )
                else:
                    target.rmdir()
            folder.rename(target)
            came.append(folder.name)
    return came
