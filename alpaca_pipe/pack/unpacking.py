"""`unpack FILE`: everything is read and checked aside, then put in its place in an order in which a kill does no harm.

The share is received before the recipe is there to be run; results are merged into the books in one transaction with the
end of their share. Each move leaves what is there alone, so the same call again finishes what a killed one began.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json
from alpaca_pipe.pack.archive import read_box
from alpaca_pipe.pack.manifest import STRANGE, RecipePack, ResultsPack
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.store import SCRATCH, StepStore
from alpaca_pipe.recipe.workspace import Workspace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Unpacked:
    """steps: kind -> folder, of those that are sealed here now.  share, spent: nano-dollars.  says: the share in words.
    entries: added to the books.  apart: names of runs that came and are not the recipe's last one.  why: what they have
    otherwise, a sentence each.  changed: keys that the last run that came sets otherwise than the one here did.
    handed_over: a finished recipe, to which nothing is lent: nothing is left to run, and no results are waited for."""

    kind: str
    recipe: str
    steps: Mapping[str, str] = field(default_factory=dict)
    share: int = 0
    says: str = ""
    spent: int = 0
    entries: int = 0
    file: Path | None = None  # of the recipe
    apart: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    handed_over: bool = False


@contextmanager
def aside(path: Path, pack: RecipePack | ResultsPack, workspace: Workspace) -> Iterator[Path]:
    """The recipe's lock, and the pack's files in a folder of their own, each as it was packed. What is refused leaves nothing,
    the folders that were made for it included."""
    own = workspace.of(pack.recipe)
    draft = own / ".unpacking"
    made = [folder for folder in (own, workspace.root) if not folder.exists()]
    try:
        with held(own / ".lock", str(own)):
            shutil.rmtree(draft, ignore_errors=True)
            for left in own.glob(".*.????????"):  # drafts of a killed one
                left.unlink()
            draft.mkdir(parents=True)
            try:
                if read_box(path, draft) != pack.box:
                    raise UserError(f"{path} was changed while it was read", "unpack it again")
                _check_steps(path, StepStore(draft / "store"))
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except Exception:
        if own in made and [file.name for file in own.iterdir()] == [".lock"]:
            (own / ".lock").unlink()
        for folder in made:
            with suppress(OSError):  # what else lies in it stays
                folder.rmdir()
        raise


def _check_steps(path: Path, store: StepStore) -> None:
    """Each is what its name says, whole, and nothing else."""
    for folder in sorted(store.root.iterdir()) if store.root.is_dir() else ():
        try:
            identity, done = read_json(folder / "stage.json"), store.done(folder)
            sound = (
                isinstance(identity, dict)
                and store.folder(identity) == folder
                and done is not None
                and not done.damage(read_again=True)
            )
        except (OSError, ValueError, KeyError, TypeError, UserError):
            sound = False
        there = {
            file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
        }
        if not sound or done is None or there != {"stage.json", "done.json", *done.files}:
            raise UserError(
                f"{path} holds a step {folder.name} that is not sealed as it should be", STRANGE
            )


def place_steps(draft: Path, store: StepStore, say: Say) -> list[str]:
    """Moves the steps into the store; one that is there already stays. Answers the names of those that were made here too, with
    other bytes."""
    otherwise = []
    for folder in sorted((draft / "store").iterdir()) if (draft / "store").is_dir() else ():
        target = store.root / folder.name
        with held(store.root / f".{folder.name}.lock", f"the step {folder.name}"):
            here, theirs = store.done(target), StepStore(folder.parent).done(folder)
            assert theirs is not None
            if here and not here.damage():
                if here.files != theirs.files:
                    otherwise.append(folder.name)
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
    return otherwise
