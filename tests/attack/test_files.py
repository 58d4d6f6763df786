"""Files that others could read, pipes and devices where a file is named, and an odd first line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.attack.commands import call
from tests.attack.conftest import RECIPE


def test_a_workspace_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE.replace("count: 6", "count: 2"))
    before = os.umask(0o022)
    try:
        assert call("run", "small.yaml", "--until", "generate")[0] == 0
        assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700
        assert call("ledger", "enter", "small.yaml", "--minutes", "3", "--runs", "x/y")[0] == 0
        assert stat.S_IMODE((tmp_path / "x" / "y").stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_workspace_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o755)
    (tmp_path / "runs").chmod(0o755)
    (tmp_path / "small.yaml").write_text(RECIPE.replace("count: 6", "count: 2"))
    assert call("run", "small.yaml", "--until", "generate")[0] == 0
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o755


@pytest.mark.parametrize("pipe", ["pipe", "/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_pipe_or_a_device_is_no_file(tmp_path: Path, pipe: str) -> None:
    if pipe == "pipe":
        os.mkfifo(tmp_path / pipe)
    (tmp_path / "r.yaml").write_text(f"name: r\ncurate: {{from: {pipe}}}\n")
    (tmp_path / "s.yaml").write_text(RECIPE.replace("count: 6", f"count: 6, seeds: {pipe}"))
    for words in (
        ("curate", pipe, "-o", "out"),
        ("plan", "r.yaml"),
        ("plan", "s.yaml"),
        ("plan", pipe),
        ("similarity", pipe),
        ("unpack", pipe),
    ):
        code, said = call(*words)
        assert code == 2 and "a bug in alpaca-pipe" not in said, (words, said)


def test_books_from_a_pipe_are_refused(made: Path) -> None:
    os.chdir(made)
    code, said = call("ledger", "reconcile", "/dev/zero")
    assert code == 2 and "is a pipe or a device" in said


def test_a_first_line_of_many_blanks_hides_no_row(tmp_path: Path) -> None:
    row = json.dumps(
        {
            "instruction": "Name a colour that many people like.",
            "input": "",
            "output": "Blue is a colour that many people like.",
        }
    )
    for name, text in (
        ("blank.jsonl", " " * 70_000 + "\n" + row + "\n"),
        ("blanks.jsonl", "\n" * 70_000 + row + "\n"),
        ("blank.json", " " * 70_000 + f"[{row}]"),
    ):
        (tmp_path / name).write_text(text)
        code, said = call("curate", name, "-o", f"out-{name}", "--json")
        assert code == 0, said
        assert '"read": 1' in said


def test_a_workspace_that_was_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    for command in (("status",), ("gc", "--dry-run")):
        for named, says in (("misspelt", "there is no such folder"), ("rows.jsonl", "is a file")):
            code, said = call(*command, "--runs", named)
            assert code == 2 and says in said
        assert call(*command)[0] == 0
    code, said = call("plan", "quickstart", "--runs", "rows.jsonl")
    assert code == 2 and "--runs rows.jsonl is a file" in said


def test_a_split_of_a_file_without_splits_is_refused(tmp_path: Path) -> None:
    row = {"instruction": "Name a colour that many people like.", "input": "", "output": "Blue."}
    (tmp_path / "rows.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    code, said = call("curate", "rows.jsonl", "-o", "out", "--split", "test")
    assert code == 2 and "holds no splits, and no row of it names one" in said


def test_a_place_that_cannot_be_written_or_read_is_one_sentence(tmp_path: Path) -> None:
    """Every error of the system at a path that the user named, whichever command met it."""
    row = {
        "instruction": "Name a colour that many people like.",
        "input": "",
        "output": "Blue is one that very many people like.",
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    long = "x" * 300
    for place in ("/proc/x", "rows.jsonl/x", "loop/x", long, "/dev/null/x", "folder/../loop"):
        for words in (
            ("curate", "rows.jsonl", "-o", place),
            ("curate", place, "-o", "out"),
            ("plan", place),
            ("plan", "small.yaml", "--runs", place),
            ("run", "small.yaml", "--runs", place),
            ("status", "--runs", place),
            ("pack", "small.yaml", "--for", "generate", "-o", place, "--share", "0"),
            ("unpack", place),
            ("init", place),
            ("ledger", "reconcile", place),
            ("similarity", place),
        ):
            code, said = call(*words)
            assert code in (0, 2) and "a bug in alpaca-pipe" not in said, (words, said)
    for words in (
        ("curate", "folder", "-o", "out"),
        ("plan", "folder"),
        ("unpack", "folder"),
        ("ledger", "reconcile", "folder"),
        ("similarity", "folder"),
        ("seeds", "folder"),
        ("migrate", "folder"),
        ("curate", "rows.jsonl", "-o", "rows.jsonl"),
        ("ledger", "--jsonl", "folder"),
        ("ledger", "--focus", "folder"),
        ("prices", "update", "folder"),
    ):
        code, said = call(*words)
        assert code == 2 and "a bug in alpaca-pipe" not in said, (words, said)
