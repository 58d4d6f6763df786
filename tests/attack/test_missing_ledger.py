"""A ledger that is missing or empty beside steps that cost money is refused, not made anew."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.data.own_files import seal_of
from alpaca_pipe.ledger.store.journal import Journal
from tests.attack.commands import call


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "w")
    os.chdir(tmp_path / "w")
    return tmp_path / "w"


def reseal(done: dict[str, Any]) -> dict[str, Any]:
    return done | {"seal": seal_of(done)}


def take_away(home: Path, how: str) -> None:
    for file in (home / "runs").glob("ledger.sqlite*"):
        file.unlink()
    if how == "emptied":
        (home / "runs" / "ledger.sqlite").write_bytes(b"")
    if how == "made again":
        Journal.open(home / "runs" / "ledger.sqlite").close()


@pytest.mark.parametrize("how", ["removed", "emptied", "made again"])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "small.yaml"),
        ("plan", "small.yaml"),
        ("pack", "small.yaml", "--for", "curate"),
        ("teachers", "check", "small.yaml"),
        ("teachers", "compare", "small.yaml", "gpt-4.1-nano", "gpt-4.1-mini"),
    ],
)
def test_it_is_refused_with_the_cure(home: Path, how: str, words: tuple[str, ...]) -> None:
    """`rm runs/ledger.sqlite`, then `run`: "$0.0000"."""
    take_away(home, how)
    code, said = call(*words)
    assert code == 2 and "sealed steps beside it cost about $0.0" in said, said
    assert "put the ledger back" in said and "--new-ledger" in said
    assert how != "removed" or not (home / "runs" / "ledger.sqlite").exists()


def test_who_says_that_it_is_lost_goes_on(home: Path) -> None:
    take_away(home, "removed")
    code, said = call("run", "small.yaml", "--new-ledger")
    assert code == 0, said


def test_a_step_says_what_it_cost_and_an_older_one_what_was_planned(home: Path) -> None:
    file = next(iter((home / "runs").glob("store/generate-*/done.json")))
    done = json.loads(file.read_text())
    with Journal.open(home / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert done["spent"] == journal.totals("small", stage="generate").spent > 0
    del done["spent"], done["seal"]
    file.write_text(json.dumps(done))
    take_away(home, "removed")
    assert call("run", "small.yaml")[0] == 2


def test_steps_that_cost_nothing_ask_for_no_ledger(home: Path) -> None:
    for file in (home / "runs").glob("store/*/done.json"):
        done = reseal(json.loads(file.read_text()) | {"spent": 0})
        file.write_text(json.dumps(done))
    take_away(home, "removed")
    code, said = call("run", "small.yaml")
    assert code == 0, said
