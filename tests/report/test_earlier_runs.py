"""RECIPE@N where rows and reports are asked for, and --again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import command

RECIPE = "base: {model: tiny}\ncurate: {from: rows.json, held_out: 2, likeness: 1, filters: none}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = [
        {"instruction": f"Say {n}.", "input": "", "output": f"Number {n}, said."} for n in range(12)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "vet.yaml").write_text(RECIPE)
    return tmp_path


def test_an_earlier_run_and_the_last_command_again(home: Path) -> None:
    assert command("run", "vet.yaml", "curate.first=5", cwd=home).code == 0
    assert command("run", "vet.yaml", "curate.first=9", cwd=home).code == 0
    failed = command("run", "vet.yaml", "curate.first=2", cwd=home)
    assert failed.code == 2

    counts = [command("rows", name, cwd=home).out.splitlines()[-1] for name in ("vet@1", "vet@2")]
    assert counts == ["9 rows", "5 rows"]  # a failed run takes no number
    older, last = (command("report", name, cwd=home) for name in ("vet@2", "vet"))
    assert older.code == last.code == 0 and "reports" in older.out and "reports" not in last.out
    summed = command("report", "vet@2", "--summary", cwd=home)
    assert summed.code == 0 and "5 kept" in summed.out and "reports" in summed.out
    assert "9 kept" in command("report", "vet", "--summary", cwd=home).out
    none = command("report", "vet@7", cwd=home)
    assert none.code == 2 and "no run '7'" in none.err

    assert command("run", "vet.yaml", "curate.first=9", cwd=home).code == 0
    again = command("plan", "vet.yaml", "--again", cwd=home)
    assert again.code == 0 and "curate.first=9" in again.err and "up to date" in again.out
    more = command("plan", "vet.yaml", "--again", "curate.held_out=3", cwd=home)
    assert more.code == 0 and "up to date" not in more.out

    first = command("plan", "vet.yaml", "--again", "--runs", "other", cwd=home)
    assert first.code == 2 and "was not run" in first.err


def test_ones_own_recipe_is_meant_too(home: Path) -> None:
    (home / "dogs").mkdir()
    (home / "dogs" / "dogs.yaml").write_text(RECIPE)
    assert "did you mean 'vet'?" in command("plan", "vett", cwd=home).err
    assert "did you mean 'dogs'?" in command("plan", "dogz", cwd=home).err


def test_a_key_of_transformers_says_why_it_is_none(home: Path) -> None:
    said = command("plan", "vet.yaml", "train.dataloader_num_workers=4", cwd=home)
    assert said.code == 2 and "tokenised once, and lie in memory - remove it" in said.err
