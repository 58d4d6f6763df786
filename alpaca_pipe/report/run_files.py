"""What a recipe's last run left on disk: its steps, their summaries, their rows. What is missing is None or empty."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, jsonl_lines, read_json, read_jsonl_so_far
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.own_files import done_of, identity_of, lock_of
from alpaca_pipe.data.run_names import finished, history

ROAD = ("generate", "curate", "grow", "train", "pairs", "align", "evaluate", "export")


@dataclass(frozen=True)
class StageFiles:
    """A stage of the recipe. folder None: it left nothing that is known; done empty: it was never sealed."""

    kind: str
    folder: Path | None = None
    done: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sealed(self) -> bool:
        return bool(self.done)

    @property
    def summary(self) -> Mapping[str, Any]:
        return dict(self.done.get("summary") or {})

    def rows(self, name: str, places: Container[int] | None = None) -> Iterator[Any]:
        """The rows of a JSON-lines file, up to the first line that was cut off; none where there is no file. places: only
        those, counted from 0."""
        path = self._as_sealed(name)
        return read_jsonl_so_far(path, places) if path else iter(())

    def count(self, name: str) -> int:
        """How many rows() there are."""
        path = self._as_sealed(name)
        if path is None or name not in (self.done.get("files") or {}):
            return sum(1 for _ in self.rows(name))
        return sum(1 for _ in jsonl_lines(path)) if path.is_file() else 0

    def value(self, name: str) -> Any:
        path = self._as_sealed(name)
        return value(path) if path else None

    def _as_sealed(self, name: str) -> Path | None:
        """Raises UserError for a result that was changed since: what it says now, nobody made."""
        if self.folder is None:
            return None
        path, seal = self.folder / name, (self.done.get("files") or {}).get(name)
        if seal and path.is_file() and file_digest(path) != seal["sha256"]:
            raise UserError(
                f"{path} was changed since it was sealed",
                "`alpaca-pipe verify` tells what else was; running the recipe makes the step again, replies come from the ledger",
            )
        return path


@dataclass(frozen=True)
class RunFiles:
    """What one recipe left in a workspace. run: the line of its history that is told of: the last
    complete run, or the last one where none was complete."""

    workspace: Path
    recipe: str
    config: Mapping[str, Any]
    steps: Mapping[str, StageFiles]  # every stage of the recipe, in the order of the road
    run: Mapping[str, Any]

    @property
    def ledger(self) -> Path:
        return self.workspace / "ledger.sqlite"

    @property
    def rehearsal(self) -> bool:
        return bool(self.run.get("rehearsal"))

    def step(self, kind: str) -> StageFiles:
        return self.steps.get(kind, StageFiles(kind))


def left(workspace: Path, recipe: str, run: Mapping[str, Any] | None = None) -> RunFiles:
    """Never raises for what is missing: a run that failed, or was copied in part, is a run too. run: the line of the history
    that is meant."""
    own = within(workspace, recipe)
    lock = {} if run else lock_of(own)
    if run is None:
        runs = [row for row in history(workspace, recipe) if not row.get("apart")]
        run = next((row for row in reversed(runs) if finished(row)), runs[-1] if runs else {})
    config = run.get("config") or lock.get("config") or {}
    folders: Mapping[str, str] = (
        run.get("steps") or lock.get("steps") or {}
    )  # of one run: never a mixture of two
    kinds = [kind for kind in ROAD if kind in config or kind in folders]
    return RunFiles(
        workspace,
        recipe,
        config,
        {kind: _step(workspace, kind, folders.get(kind)) for kind in kinds},
        run,
    )


def _step(workspace: Path, kind: str, name: str | None) -> StageFiles:
    folder = within(workspace / "store", name) if name else None
    if folder is None or not folder.is_dir():
        return StageFiles(kind)
    return StageFiles(kind, folder, done_of(folder) or {}, identity_of(folder) or {})


def value(path: Path) -> Any:
    """What a JSON file holds, or None where it cannot be read."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def recipes(workspace: Path) -> list[str]:
    """The recipes that were run in a workspace."""
    return sorted(
        {
            path.parent.name
            for name in ("lock.json", "history.jsonl")
            for path in workspace.glob(f"*/{name}")
        }
    )
