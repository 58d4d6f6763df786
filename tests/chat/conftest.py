"""A workspace in which a tiny LLaMA was tuned and merged: it answers `AAAA 7` with `one two`."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.weights.tiny import build_tiny
from tests.evaluate.conftest import rows, tune

RUN = "2026-11-20T10-00-00-0a0a"
CONFIG = {"name": "letters", "train": {}, "export": {}}


def history(
    root: Path, *runs: tuple[str, dict[str, str]], config: dict[str, object] | None = None
) -> None:
    """One finished run for each (id, steps) under the recipe `letters`; the last is what lock.json names."""
    own = root / "letters"
    config = config or CONFIG
    write_jsonl(
        own / "history.jsonl",
        ({"run": run, "outcome": "done", "steps": steps, "config": config} for run, steps in runs),
    )
    write_json(own / "lock.json", {"recipe": "letters", "config": config, "steps": runs[-1][1]})


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The base, and what it became as `export` leaves it; the recipe file itself is gone."""
    home = tmp_path_factory.mktemp("letters")
    (home / "base").mkdir()
    build_tiny(home / "base")
    tune(home / "base", rows(0, 48), home / "runs" / "store" / "export-1" / "merged")
    history(
        home / "runs",
        (RUN, {"export": "export-1"}),
        config={**CONFIG, "base": {"model": str(home / "base")}},
    )
    return Workspace(home / "runs")
