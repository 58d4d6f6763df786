"""Every shipped recipe, paid and 7B ones too, goes through all its stages for nothing, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.files import read_json, shipped
from alpaca_pipe.ledger.store.journal import Journal
from tests.command import told


def kinds(config: Any) -> Iterator[str]:
    """Of all teachers in it, judges too."""
    if isinstance(config, dict):
        if "kind" in config and "model" in config:
            yield config["kind"]
        for value in config.values():
            yield from kinds(value)


NAMES = sorted(path.stem for path in shipped("recipes").glob("*.yaml"))
FAST = {
    "quickstart",
    "vicuna-small",
    "rlhf-small",
}  # tests/week rehearses `domain`, a paid one; `make test-all` them all


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_it_is_rehearsed_from_end_to_end(name: str, tmp_path: Path) -> None:
    assert "simulated (a rehearsal" in told("run", name, "--rehearse", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["rehearsal"]
    lock = read_json(tmp_path / "runs" / "rehearsal" / name / "lock.json")
    assert set(lock["steps"]) == {stage.kind for stage in CATALOG.stages} & set(lock["config"])
    asked = [*kinds(lock["config"])]
    assert set(asked) <= {"rehearsed"}
    if not asked:
        return  # of nobody
    with Journal.open(tmp_path / "runs" / "rehearsal" / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals()
    assert totals.requests > 0 and totals.open == totals.lost == 0
    assert (totals.settled > 0) == (
        name
        not in (
            "quickstart",
            "local-teacher",
            "vicuna-small",
            "constitutional-small",
            "orca-small",
            "orca-small-strong",
        )
    )  # real prices, on paper; one's own are free
