"""Two recipes of one name in one workspace: said before anything is mixed; what was moved or copied is the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.data.own_files import history_of
from alpaca_pipe.recipe.same_name import another_of_that_name
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.workspace import Workspace
from tests.command import command

RECIPE = "generate: {{style: alpaca, seeds: alpaca, count: {count}, round_size: 4}}\nteacher: {{kind: rehearsed, model: nobody, price: free}}\n"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    for folder, count in (("a", 4), ("b", 8)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vet.yaml").write_text(RECIPE.format(count=count))
    return tmp_path


def test_the_second_is_said_by_plan_and_run_and_the_first_is_not(two: Path) -> None:
    assert command("run", "a/vet.yaml", cwd=two).code == 0
    row = history_of(two / "runs" / "vet" / "history.jsonl")[-1]
    assert row["file"] == "../a/vet.yaml"  # the same wherever the project lies
    assert "another recipe called" not in command("plan", "a/vet.yaml", cwd=two).err
    for verb in ("plan", "run"):
        said = command(verb, "b/vet.yaml", cwd=two)
        told = " ".join((said.out + said.err).split())
        assert f"another recipe called 'vet' was run here: {two / 'a' / 'vet.yaml'}" in told
        assert "rename one of the files, or keep them apart with --runs" in told
    apart = command("run", "a/vet.yaml", "--runs", "other", cwd=two)
    assert "another recipe called" not in apart.out + apart.err


@pytest.mark.parametrize("how", ["moved", "copied", "old"])
def test_what_is_the_same_recipe_is_not_said(two: Path, how: str) -> None:
    workspace = Workspace(two / "runs")
    line = {"run": "2026-11-20T10-00-00-0a0a", "outcome": "done", "steps": {}, "config": {}}
    if how != "old":  # a workspace of before has no file in its history
        line["file"] = "../a/vet.yaml"
    (two / "runs" / "vet").mkdir(parents=True)
    write_jsonl(two / "runs" / "vet" / "history.jsonl", [line])
    if how == "moved":
        (two / "a" / "vet.yaml").unlink()
    elif how == "copied":
        (two / "b" / "vet.yaml").write_bytes((two / "a" / "vet.yaml").read_bytes())
    assert another_of_that_name(load_recipe(str(two / "b" / "vet.yaml"), CATALOG), workspace) == ""
