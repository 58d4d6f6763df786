"""Where steps lie: store/<kind>-<digest>/, identity first, results, done.json last by rename; nothing sealed is overwritten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of, file_digest, write_json
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.own_files import done_of, identity_of, seal_of

SCRATCH = ".scratch"


@dataclass(frozen=True)
class Done:
    """A sealed step. files: relative name -> {"sha256", "size"}."""

    folder: Path
    summary: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    finished: str  # ISO time, UTC
    seconds: float
    spent: int | None = None  # nano-dollars until then; None: sealed before steps said so
    planned: Mapping[str, Any] = field(default_factory=dict)

    def digest(self, name: str) -> str | None:
        """Digest of a file, or of all files below a folder, as sealed. None: there is no such result."""
        if name in self.files:
            return str(self.files[name]["sha256"])
        below = {
            file: seal["sha256"] for file, seal in self.files.items() if file.startswith(f"{name}/")
        }
        return digest_of(below) if below else None

    def damage(self, read_again: bool = False) -> str:
        """What is no longer as it was sealed, in a few words; empty when all is whole. read_again: every byte is read, where
        otherwise a large file of the same size, time and inode is taken for the same."""
        for name, seal in self.files.items():
            path = self.folder / name
            if not path.is_file():
                return f"{name} is gone"
            if (
                path.stat().st_size != seal["size"]
                or file_digest(path, read_again) != seal["sha256"]
            ):
                return f"{name} was changed"
        return ""


class StepStore:
    """The folders of all steps of a workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, identity: Mapping[str, Any]) -> Path:
        return self.root / f"{identity['kind']}-{digest_of(identity)[:16]}"

    def identity(self, name: str) -> dict[str, Any] | None:
        """The identity that a folder was begun with, or None where it is gone."""
        return identity_of(within(self.root, name))

    def done(self, folder: Path) -> Done | None:
        """The sealed step in a folder, whole or damaged; None when it was never sealed. UserError where its seal was changed."""
        seal = done_of(folder)
        if seal is None:
            return None
        return Done(
            folder,
            seal["summary"],
            seal["files"],
            seal["finished"],
            seal["seconds"],
            seal.get("spent"),
            seal.get("planned") or {},
        )

    def begin(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Makes the folder and writes its identity before anything else; an interrupted one is continued."""
        if not (folder / "stage.json").exists():
            write_json(folder / "stage.json", identity)

    def set_aside(self, folder: Path) -> Path:
        """Moves a damaged folder out of the way, never deletes it."""
        count = 1
        while (aside := folder.with_name(f"{folder.name}.damaged-{count}")).exists():
            count += 1
        folder.rename(aside)
        return aside

    def seal(self, folder: Path, summary: Mapping[str, Any], facts: Mapping[str, Any]) -> Done:
        """Digests all results and writes done.json, the last act of a step."""
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        names = sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        files = {
            name: {"sha256": file_digest(folder / name), "size": (folder / name).stat().st_size}
            for name in names
            if name != "stage.json" and not any(p.startswith(".") for p in Path(name).parts)
        }
        sealed = json.loads(json.dumps({"summary": dict(summary), "files": files, **facts}))
        write_json(folder / "done.json", sealed | {"seal": seal_of(sealed)})
        done = self.done(folder)
        assert done is not None
        return done
