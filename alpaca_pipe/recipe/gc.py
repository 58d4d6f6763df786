"""What of the store nobody refers to any more: found and named with its size and the reason, and deleted when that is wanted.

Never touched: the ledger with its replies, whatever a lock, a history or an interrupted run names, and all outside the store
but leftovers of writes that were cut off.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.own_files import begun_of, history_of
from alpaca_pipe.recipe.locks import held, holder
from alpaca_pipe.recipe.status import recipes_of
from alpaca_pipe.recipe.workspace import Workspace

_DAMAGED = re.compile(r".+\.damaged-\d+")
_STEP = re.compile(r"[a-z]+-[0-9a-f]{16}")
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}")  # core/files.py: a write that was cut off
_GONE = ".gone"
_ASIDE = {".packing", ".unpacking"}  # pack/: where it lies until it is whole
_YOUNG = 3600  # seconds: a leftover that is younger may be a write under way


@dataclass(frozen=True)
class Waste:
    """size: bytes of what only this path holds; a file that is linked elsewhere too frees nothing."""

    path: Path
    size: int
    why: str

    def to_row(self) -> dict[str, object]:
        return {"path": str(self.path), "bytes": self.size, "why": self.why}


def wasted(workspace: Workspace, ours: bool = False) -> list[Waste]:
    """The largest first. Nothing is written.  ours: we hold the locks of all recipes."""
    named, store = _named(workspace), workspace.store.root
    found = [
        Waste(path, _size(path), why)
        for path in (sorted(store.iterdir()) if store.is_dir() else ())
        if (why := _why(path, named, workspace))
    ]
    found += [
        Waste(path, path.stat().st_size, "left over from a write that was cut off")
        for name in recipes_of(workspace)
        for path in workspace.of(name).glob(".*")
        if path.is_file() and _LEFTOVER.fullmatch(path.name) and _old(path)
    ]
    found += [
        Waste(path, _size(path), "left over from a pack or unpack that was cut off")
        for name in _lockable(workspace)
        for path in workspace.of(name).glob(".*")
        if path.name in _ASIDE and (ours or not holder(path.with_name(".lock")))
    ]
    return sorted(found, key=lambda waste: (-waste.size, waste.path))


def sweep(workspace: Workspace, waste: list[Waste]) -> int:
    """Deletes it and answers the bytes that are free again. Raises UserError while a run is on, before anything is deleted: a
    run may be about to take up a step that nobody refers to yet."""
    with contextlib.ExitStack() as stack:
        for name in _lockable(workspace):
            stack.enter_context(held(workspace.of(name) / ".lock", name))
        still = {
            one.path for one in wasted(workspace, ours=True)
        }  # a run may have ended meanwhile and named some of it
        freed = 0
        for one in waste:
            if one.path in still:
                _delete(one.path)
                freed += one.size
    return freed


def _delete(path: Path) -> None:
    """Out of the way under another name first, so that a kill leaves no half of a step."""
    if path.is_file():
        path.unlink()
        return
    if path.name.endswith(_GONE) or path.name in _ASIDE:
        shutil.rmtree(path)
        return
    lock, gone = path.with_name(f".{path.name}.lock"), path.with_name(f".{path.name}{_GONE}")
    with held(lock, path.name):
        path.rename(gone)
        shutil.rmtree(gone)
        lock.unlink()


def _lockable(workspace: Workspace) -> list[str]:
    """The recipes, and what is becoming one: a pack that is being unpacked puts its steps into the store before its lock.json."""
    return sorted(
        {*recipes_of(workspace), *(path.parent.name for path in workspace.root.glob("*/.lock"))}
    )


def _named(workspace: Workspace) -> set[str]:
    """The folders of the store that something refers to."""
    named: set[str] = set()
    for recipe in recipes_of(workspace):
        own = workspace.of(recipe)
        named |= set(workspace.lock(recipe).get("steps", {}).values())
        for run in history_of(own / "history.jsonl"):
            named |= set(run["steps"].values())
        named |= set(begun_of(own).values())
    return named


def _why(path: Path, named: set[str], workspace: Workspace) -> str:
    """Why it can go; "" where it stays. What we do not know by its name stays."""
    if path.is_file():
        return (
            "left over from a write that was cut off"
            if _LEFTOVER.fullmatch(path.name) and _old(path)
            else ""
        )
    if path.name.endswith(_GONE):
        return "left over from a gc that was cut off"
    if _DAMAGED.fullmatch(path.name):
        return "damaged, and set aside when it was made again"
    if (
        not _STEP.fullmatch(path.name)
        or path.name in named
        or holder(path.with_name(f".{path.name}.lock"))
    ):
        return ""
    if workspace.store.done(path):
        return "sealed, and no recipe's lock or history names it any more"
    return "begun and never sealed, and no recipe would continue it"


def _size(path: Path) -> int:
    return sum(
        stat.st_size
        for file in path.rglob("*")
        if file.is_file() and (stat := file.lstat()).st_nlink == 1
    )


def _old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _YOUNG


def spelled(size: int) -> str:
    """`940 B`, `1.5 GB` (of 1e9)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def lines(found: list[Waste], root: Path) -> Iterator[str]:
    for one in found:
        yield f"{spelled(one.size):>9}  {one.path.relative_to(root)}  {one.why}"
    yield (
        f"{spelled(sum(one.size for one in found)):>9}  in {len(found)} places"
        if found
        else "nothing to clear away"
    )


def check_idle(workspace: Workspace) -> None:
    """Raises UserError while a recipe runs."""
    for name in _lockable(workspace):
        if pid := holder(workspace.of(name) / ".lock"):
            raise UserError(
                f"{name} is running (pid {pid}), and may be about to use files that no recipe names yet",
                "wait for it to end",
            )
