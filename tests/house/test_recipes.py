"""Every shipped recipe loads, plans offline and writes nothing by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.files import shipped
from alpaca_pipe.recipe.schema import load_recipe

NAMES = sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert "quickstart" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_plans_offline(name: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["-v", "plan", name, "--runs", str(tmp_path / "runs")])
    assert answer.exit_code == 0, answer.output
    assert "not run yet with this recipe" in answer.output
    said = " ".join(answer.output.split())
    short = re.search(r"in (\d+) of 10 cases it ends with fewer rows than are wanted", said)
    assert short is None or int(short[1]) <= 2  # what it promises is what it expects
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", NAMES)
def test_its_rehearsal_asks_nobody_and_is_another_identity(name: str) -> None:
    recipe = load_recipe(name, CATALOG)
    rehearsed = recipe.rehearsed()
    if "teacher" in rehearsed.tables:
        assert rehearsed.tables["teacher"].kind == "rehearsed"
    assert [config.identity() for config in rehearsed.stages.values()] != [
        config.identity() for config in recipe.stages.values()
    ]
