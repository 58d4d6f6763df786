"""Scripted answers are never a real teacher's money: the statement, its exports and the last lines of a run say so."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import command

_RECIPE = """recipe_version: 1
teacher: {kind: rehearsed, model: gpt-4.1-nano}
generate: {count: 10}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scripted")
    (folder / "own.yaml").write_text(_RECIPE)
    done = command("run", "own.yaml", cwd=folder)
    assert done.code == 0, done.err
    assert "is simulated: a scripted teacher answered, and nothing was paid" in done.out
    yield folder


def test_the_statement_says_it(place: Path) -> None:
    said = json.loads(command("ledger", "show", "own", "--json", cwd=place).out)
    assert said["simulated_nanodollars"] == said["total"]["nanodollars"]["settled"] > 0
    assert "is simulated" in command("ledger", "own", cwd=place).out


def test_every_export_marks_it(place: Path) -> None:
    files = ("--focus", "f.csv", "--jsonl", "e.jsonl")
    assert command("ledger", "show", "own", *files, cwd=place).code == 0
    with (place / "f.csv").open() as stream:
        charges = [row for row in csv.DictReader(stream) if row["ServiceName"].startswith("Lang")]
    assert charges
    assert {row["x_Simulated"] for row in charges} == {"true"}
    entries = [json.loads(line) for line in (place / "e.jsonl").read_text().splitlines()]
    assert all(("simulated" in row) == (row["class"] == "api") for row in entries)
