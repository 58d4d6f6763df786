"""Keys from `.env`: the environment goes first, only named variables are taken, and no value is in any message."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.dotenv import lend_keys, read_env
from alpaca_pipe.recipe.schema import Recipe, load_recipe

RECIPE = """teacher: {kind: openai_chat, model: gpt-4.1-nano, api_key_env: MY_KEY}
generate: {count: 4}
curate:
  grade: {teacher: {kind: openai_chat, model: gpt-4.1-nano, api_key_env: JUDGE_KEY}}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    (tmp_path / "here").mkdir()
    (tmp_path / "vet").mkdir()
    (tmp_path / "vet" / "vet.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path / "here")
    return load_recipe(str(tmp_path / "vet"), CATALOG)


def test_the_lines_that_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# keys\n\nA=1\nexport B = 'two # 2'\nC=\"three\" # 3\nD=four # 4\nE=a=b#c\nF=\n"
    )
    assert read_env(tmp_path / ".env") == {
        "A": "1",
        "B": "two # 2",
        "C": "three",
        "D": "four",
        "E": "a=b#c",
        "F": "",
    }


def test_the_working_directory_goes_before_the_recipes_folder_and_the_environment_before_both(
    recipe: Recipe,
) -> None:
    recipe.files[0].with_name(".env").write_text("MY_KEY=beside\nJUDGE_KEY=judge\nOTHER=no\n")
    Path(".env").write_text("MY_KEY=here\n")
    lent: dict[str, str] = {}
    assert set(lend_keys(recipe, lent)) == {"MY_KEY", "JUDGE_KEY"}
    assert lent == {"MY_KEY": "here", "JUDGE_KEY": "judge"}
    for value in ("real", ""):
        own = {"MY_KEY": value, "JUDGE_KEY": value}
        assert lend_keys(recipe, own) == () and set(own.values()) == {value}


def test_a_broken_line_is_told_without_what_stands_in_it(recipe: Recipe) -> None:
    Path(".env").write_text("MY_KEY sk-planted-1234567890\n")
    with pytest.raises(UserError) as caught:
        lend_keys(recipe, {})
    assert ".env:1: this is not NAME=value" in str(caught.value) and "planted" not in str(
        caught.value
    )
