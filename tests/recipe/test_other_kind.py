"""An override that names another kind of teacher: what only the file's kind has is left out, with a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserErrors
from alpaca_pipe.recipe.schema import load_recipe

_RECIPE = """recipe_version: 1
teacher: {kind: openai_chat, model: gpt-6-luna, extra_body: {reasoning_effort: none}}
generate: {style: alpaca, count: 5}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "own.yaml"
    file.write_text(_RECIPE)
    return str(file)


def test_what_only_the_files_kind_has_is_left_out_and_said(recipe: str) -> None:
    read = load_recipe(recipe, CATALOG, ["teacher.kind=rehearsed"])
    assert read.tables["teacher"].kind == "rehearsed"
    (said,) = read.left_out
    assert said.startswith("teacher.extra_body: {'reasoning_effort': 'none'} is left out")
    assert said.endswith("teacher.kind=rehearsed has no 'extra_body'")
    assert "extra_body" not in read.written["teacher"]


def test_what_both_kinds_have_stays(recipe: str) -> None:
    read = load_recipe(recipe, CATALOG, ["teacher.kind=openai_batch"])
    assert (read.left_out, read.tables["teacher"].extra_body["reasoning_effort"]) == ((), "none")


def test_what_an_override_itself_asks_for_is_refused_if_the_kind_has_it_not(recipe: str) -> None:
    overrides = ["teacher.kind=rehearsed", "teacher.extra_body={a: 1}"]
    with pytest.raises(UserErrors, match="kind rehearsed has no 'extra_body'"):
        load_recipe(recipe, CATALOG, overrides)


def test_in_a_file_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(_RECIPE.replace("openai_chat", "rehearsed"))
    with pytest.raises(UserErrors, match="kind rehearsed has no 'extra_body'"):
        load_recipe(str(file), CATALOG)
