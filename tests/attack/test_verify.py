"""`alpaca-pipe verify`: whatever was changed in a workspace is a line and an exit code, even where the file's time says nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.files import _REMEMBERED_FROM
from alpaca_pipe.recipe.store import StepStore
from tests.attack.commands import call
from tests.attack.examples import some


def copied(made: Path, home: Path) -> Path:
    shutil.copytree(made, home, dirs_exist_ok=True)
    os.chdir(home)
    return home / "runs"


def test_a_workspace_as_it_was_left_is_whole(made: Path, tmp_path: Path) -> None:
    copied(made, tmp_path)
    code, said = call("verify")
    assert code == 0 and "damaged" not in said.replace("none damaged", "")
    assert "store/generate-" in said and "ledger.sqlite" in said and "whole    small" in said
    code, said = call("verify", "--json")
    assert code == 0 and json.loads(said)["whole"] is True


def one(runs: Path, pattern: str) -> Path:
    return next(iter(sorted(runs.glob(pattern))))


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of a result": (
        lambda runs: flipped(one(runs, "store/generate-*/examples.jsonl")),
        "examples.jsonl was changed",
    ),
    "a result that is gone": (
        lambda runs: one(runs, "store/curate-*/train.jsonl").unlink(),
        "train.jsonl is gone",
    ),
    "a file that came after": (
        lambda runs: (one(runs, "store/curate-*") / "more.jsonl").write_text("{}"),
        "more.jsonl was added",
    ),
    "another identity": (
        lambda runs: shutil.copyfile(
            one(runs, "store/curate-*/stage.json"), one(runs, "store/generate-*/stage.json")
        ),
        "tells of another step",
    ),
    "no identity": (
        lambda runs: one(runs, "store/generate-*/stage.json").unlink(),
        "stage.json is gone",
    ),
    "another seal": (
        lambda runs: one(runs, "store/generate-*/done.json").write_text("[]"),
        "not as alpaca-pipe wrote it",
    ),
    "a step that is gone": (
        lambda runs: shutil.rmtree(one(runs, "store/curate-*")),
        "lock.json names steps that are gone",
    ),
    "a lock of another shape": (
        lambda runs: (runs / "small" / "lock.json").write_text('{"steps": 1}'),
        "lock.json is not as",
    ),
    "a history of another shape": (
        lambda runs: (runs / "small" / "history.jsonl").write_text("1\n"),
        "history.jsonl:1 is not as",
    ),
    "no ledger": (lambda runs: (runs / "ledger.sqlite").unlink(), "is gone"),
    "an empty ledger": (lambda runs: (runs / "ledger.sqlite").write_bytes(b""), "is empty"),
    "a ledger that is none": (
        lambda runs: (runs / "ledger.sqlite").write_bytes(b"x" * 8192),
        "not a ledger",
    ),
    "caps that are none": (
        lambda runs: (runs / "budget.yaml").write_text("total: lots"),
        "budget.yaml",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_was_changed_is_named(made: Path, tmp_path: Path, name: str) -> None:
    runs = copied(made, tmp_path)
    change, says = DAMAGE[name]
    for side in ("-wal", "-shm"):
        (runs / f"ledger.sqlite{side}").unlink(missing_ok=True)
    change(runs)
    code, said = call("verify")
    lines = [line for line in said.splitlines() if line.startswith("damaged")]
    assert code == 2 and any(says in line for line in lines), said
    code, said = call("verify", "--json")
    assert code == 2 and json.loads(said)["whole"] is False


def test_balances_that_do_not_match_are_named(made: Path, tmp_path: Path) -> None:
    runs = copied(made, tmp_path)
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as db:
        db.execute("UPDATE balances SET settled = settled + 1")
        db.commit()
    code, said = call("verify")
    assert code == 2 and "do not match its entries" in said


def test_a_byte_that_changes_while_size_time_and_inode_stay_is_seen(tmp_path: Path) -> None:
    """A flipped byte in a sealed file above 1 MiB with its time kept was noticed by nothing."""
    store = StepStore(tmp_path / "store")
    folder = store.folder({"kind": "generate"})
    store.begin(folder, {"kind": "generate"})
    file = folder / "large.jsonl"
    file.write_bytes(b"x" * (_REMEMBERED_FROM + 1))
    done = store.seal(folder, {}, {"finished": "2026-11-30T00:00:00", "seconds": 1.0})
    state = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"y")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert done.damage() == "" and done.damage(read_again=True) == "large.jsonl was changed"
    assert done.damage() == "large.jsonl was changed"  # and what was read is remembered


@some
@given(st.data())
def test_no_byte_of_a_sealed_file_changes_unseen(made: Path, data: st.DataObject) -> None:
    files = sorted(
        path for path in (made / "runs" / "store").glob("*/*.jsonl") if path.stat().st_size
    )
    file = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    after = bytearray(before)
    after[place] ^= data.draw(st.integers(1, 255))
    os.chdir(made)
    try:
        file.write_bytes(after)
        code, said = call("verify")
        assert code == 2 and f"{file.name} was changed" in said
    finally:
        file.write_bytes(before)
