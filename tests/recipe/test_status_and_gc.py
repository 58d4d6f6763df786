"""What is going on, asked beside a running run; and what may be cleared away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl, write_json
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe import gc
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.recipe.status import lines, recipes_of, status
from alpaca_pipe.recipe.workspace import Workspace
from tests.recipe.test_runner import start
from tests.recipe.toy import run_toy
from tests.waiting import PATIENCE, until


def test_status_beside_a_running_run_and_after_it(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "runs")
    process = start(recipe, workspace.root, turns=3)
    try:
        until(lambda: (now := status(workspace, "toy").now) and now.counted, process)
        found = status(workspace, "toy")
        assert found.now and found.now.pid == process.pid and found.now.stage == "sow"
        assert found.now.counted["total"] == 30 and found.now.counted["unit"] == "seeds"
        assert any(line.startswith("toy  running sow (pid") for line in lines(found))
        assert [(step.kind, step.state) for step in found.steps] == [("sow", "running")]
        with pytest.raises(UserError, match="is running"):
            gc.check_idle(workspace)
    finally:
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0  # asking has disturbed nothing
    after = status(workspace, "toy")
    assert (
        after.now is None
        and after.last["outcome"] == "done"
        and {step.state for step in after.steps} == {"sealed"}
    )


def test_a_run_that_has_said_much_is_still_seen(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    own = workspace.of("toy")
    own.mkdir(parents=True)
    for run, lines_of_it in (("before", 10), ("now", 3000)):
        screen = Screen(Console(quiet=True), own / "log.jsonl", lambda: "$0", run, False)
        screen.write("began", pid=os.getpid(), budget={"api": 5})
        screen.begin("sow")
        for done in range(lines_of_it):
            screen.write(
                "progress",
                pid=os.getpid(),
                done=done,
                total=9000,
                unit="seeds",
                a_minute=1,
                eta=9,
                money="$0",
                note="",
            )
        screen.end()
    assert (own / "log.jsonl").stat().st_size > 4 * (1 << 16)
    with held(own / ".lock", str(own)):
        found = status(workspace, "toy")
    assert found.now and (found.now.run, found.now.stage, found.now.counted["done"]) == (
        "now",
        "sow",
        2999,
    )
    assert found.budget == {"api": "5"}


def test_half_done_and_failed_steps_are_told(recipe: Path, counts: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    with pytest.raises(ValueError, match="the market is closed"):
        run_toy(recipe, workspace.root, "sell.fail=true")
    found = status(workspace, "toy")
    assert [(step.kind, step.state) for step in found.steps] == [
        ("sow", "sealed"),
        ("reap", "sealed"),
        ("sell", "half done"),
    ]
    assert found.last["outcome"] == "failed"
    log = list(read_jsonl(workspace.of("toy") / "log.jsonl"))
    assert {row["run"] for row in log} == {found.last["run"]}
    assert (log[0]["event"], log[-1]["event"], log[-1]["level"], log[-1]["sentence"]) == (
        "began",
        "failed",
        "error",
        "the market is closed",
    )


@pytest.mark.parametrize(
    "named", ["toy", "toy/", "toy.yaml", "{here}/toy", "{here}/toy/toy.yaml", ".", "../toy"]
)
def test_a_recipe_is_meant_by_its_name_its_file_and_its_folder(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path / "toy")
    write_json(Workspace(tmp_path / "runs").of("toy") / "lock.json", {})
    named, runs = named.format(here=tmp_path), ("--runs", str(tmp_path / "runs"))
    shown = CliRunner().invoke(app, ["status", named, *runs])
    assert shown.exit_code == 0 and shown.output.startswith("toy  not running"), (
        shown.output,
        shown.exception,
    )
    with Journal.open(tmp_path / "runs" / "ledger.sqlite"):
        pass
    with pytest.raises(UserError, match="'toy' was not unpacked in"):
        raise CliRunner().invoke(app, ["pack", named, "--only", "results", *runs]).exception  # type: ignore[misc]


def test_an_empty_workspace_has_nothing_to_tell(tmp_path: Path) -> None:
    assert (
        recipes_of(Workspace(tmp_path / "runs")) == []
        and gc.wasted(Workspace(tmp_path / "runs")) == []
    )


def test_gc_takes_what_nobody_names_and_nothing_else(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "runs")
    run_toy(recipe, workspace.root)
    run_toy(recipe, workspace.root, "sow.count=6")
    assert gc.wasted(workspace) == []  # the history names both runs
    store = workspace.store.root
    named = {path.name for path in store.iterdir()}
    write_json(store / "sow-0123456789abcdef" / "stage.json", {"kind": "sow"})
    write_json(
        store / "reap-0123456789abcdef" / "done.json",
        {"summary": {}, "files": {}, "finished": "", "seconds": 1},
    )
    (store / "sow-fedcba9876543210.damaged-1").mkdir()
    (store / "notes-of-mine").mkdir()
    old, young = (
        workspace.of("toy") / ".lock.json.0badcafe",
        workspace.of("toy") / ".lock.json.1badcafe",
    )
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (0, 0))
    found = {one.path.name: one.why for one in gc.wasted(workspace)}
    assert {name: why.split(",")[0] for name, why in found.items()} == {
        "sow-0123456789abcdef": "begun and never sealed",
        "reap-0123456789abcdef": "sealed",
        "sow-fedcba9876543210.damaged-1": "damaged",
        ".lock.json.0badcafe": "left over from a write that was cut off",
    }
    before = workspace.ledger.read_bytes()
    assert gc.sweep(workspace, gc.wasted(workspace)) > 0
    assert {path.name for path in store.iterdir()} - {
        f".{name}.lock" for name in found
    } == named | {"notes-of-mine"}
    assert workspace.ledger.read_bytes() == before and young.exists() and gc.wasted(workspace) == []
    executed = counts.read_text()
    run_toy(recipe, workspace.root)
    assert counts.read_text() == executed  # all of it is still up to date


def test_gc_knows_what_is_becoming_a_recipe(tmp_path: Path) -> None:
    """A pack that is being unpacked has put its steps into the store, and no lock.json names them yet."""
    workspace = Workspace(tmp_path / "runs")
    (workspace.of("field") / ".unpacking").mkdir(parents=True)
    (workspace.of("field") / ".unpacking" / "books.jsonl").write_text("{}\n")
    with held(workspace.of("field") / ".lock", "field"):
        assert gc.wasted(workspace) == []
        with pytest.raises(UserError, match="field"):
            gc.check_idle(workspace)
        with pytest.raises(UserError, match="field"):
            gc.sweep(workspace, [])
    found = gc.wasted(workspace)
    assert [one.why for one in found] == ["left over from a pack or unpack that was cut off"]
    assert gc.sweep(workspace, found) == 3 and not (workspace.of("field") / ".unpacking").exists()


def test_gc_waits_for_no_run_and_deletes_beside_none(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "runs")
    waste = workspace.store.root / "sow-0123456789abcdef"
    write_json(waste / "stage.json", {"kind": "sow"})
    process = start(recipe, workspace.root, turns=3)
    try:
        until(lambda: recipes_of(workspace) and status(workspace, "toy").now, process)
        with pytest.raises(UserError, match="in use by another process"):
            gc.sweep(workspace, gc.wasted(workspace))
        assert waste.is_dir()
    finally:
        process.communicate(timeout=PATIENCE)
