"""Every error of a recipe at once, each with its line, its key, what is wrong and what to do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.recipe.schema import load_recipe, recipe_model
from tests.recipe.toy import CATALOG, Sow


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return str(path)


def said(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_recipe(write(tmp_path, text), CATALOG, overrides)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_three_mistakes_are_all_said_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = "sow:\n  cuont: 3\n  share: lots\n  source: nowhere.txt\nreap: {}\n"
    lines = said(tmp_path, text)
    assert lines[0] == "r.yaml:2: sow.cuont: unknown key - did you mean 'count'?"
    assert lines[1].startswith("r.yaml:3: sow.share: ") and "'lots'" in lines[1]
    assert lines[2].startswith("r.yaml:4: sow.source: no such file or folder: ")
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("sow: {count: 3\n", "r.yaml:2: "),
        ("sow: {}\nsow: {}\n", "r.yaml:2: found duplicate key"),
        ("- a\n", "r.yaml:1: a recipe is a mapping"),
        ("", "r.yaml:1: a recipe is a mapping"),
        ("sows: {}\n", "r.yaml:1: sows: unknown key - did you mean 'sow'?"),
        ("name: x\n", "r.yaml:1: no stage is named"),
        ("seed: 1\nreap: {}\n", "r.yaml:2: reap: reads what 'sow' makes"),
        ("recipe_version: 2\nsow: {}\n", "r.yaml:1: recipe_version: "),
        ("sow:\n  count: '3'\n", "r.yaml:2: sow.count: should be a valid integer, not '3'"),
        ("sow:\n  count: true\n", "r.yaml:2: sow.count: should be a valid integer"),
        ("sow:\n  - 3\n", "r.yaml:1: sow: "),
        ("name: ../up\nsow: {}\n", "r.yaml:1: name: "),
        (
            "paint:\n  brsh: 2\nsow: {}\n",
            "r.yaml:2: paint.brsh: unknown key - did you mean 'brush'?",
        ),
    ],
)
def test_each_fault_has_its_line(tmp_path: Path, text: str, start: str) -> None:
    assert said(tmp_path, text)[0].startswith(start)


@pytest.mark.parametrize("name", ["store", "rehearsal", "bench"])
def test_a_recipe_does_not_take_the_workspaces_own_names(tmp_path: Path, name: str) -> None:
    assert "cannot be called" in said(tmp_path, f"name: {name}\nsow: {{}}\n")[0]


def test_a_stage_with_nothing_after_it_is_the_stage_as_it_is(tmp_path: Path) -> None:
    assert list(load_recipe(write(tmp_path, "sow:\nreap:\n"), CATALOG).stages) == ["sow", "reap"]


def test_a_date_is_a_wrong_value_not_a_fault_of_ours(tmp_path: Path) -> None:
    assert said(tmp_path, "sow:\n  count: 2026-11-21\n")[0].startswith(
        "r.yaml:2: sow.count: should be a valid integer"
    )


def test_a_path_in_an_override_may_be_meant_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")
    loaded = load_recipe(write(tmp_path, "sow: {}\n"), CATALOG, ["sow.source=mine.txt"])
    assert loaded.stages["sow"].identity()["source"] == file_digest(tmp_path / "here" / "mine.txt")


def test_a_fault_inside_an_override_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    assert said(tmp_path, "sow: {count: 1}\n", "sow={count: x}")[0].startswith(
        "override 'sow={count: x}': sow.count"
    )


def test_an_override_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    assert said(tmp_path, "sow: {}\n", "sow.count=many")[0].startswith(
        "override 'sow.count=many': sow.count: "
    )
    assert said(tmp_path, "sow: {}\n", "count")[0].startswith("'count' is not an override")


def test_values_are_what_the_user_wrote(tmp_path: Path) -> None:
    loaded = load_recipe(
        write(tmp_path, "sow: {share: 0.7, tags: [a, b]}\n"), CATALOG, ["sow.count=9", "seed=7"]
    )
    sow = loaded.stages["sow"]
    assert isinstance(sow, Sow)
    assert (sow.share, sow.tags, sow.count, loaded.seed, loaded.name) == (
        Decimal("0.7"),
        ("a", "b"),
        9,
        7,
        "r",
    )


def test_a_missing_recipe_names_the_nearest_shipped_one() -> None:
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        load_recipe("quikstart", CATALOG)


def test_all_errors_are_kept_apart(tmp_path: Path) -> None:
    with pytest.raises(UserErrors) as caught:
        load_recipe(write(tmp_path, "sow: {a: 1, b: 2}\n"), CATALOG)
    assert len(caught.value.errors) == 2


def test_the_schema_names_every_table() -> None:
    schema = recipe_model(CATALOG).model_json_schema()
    assert set(schema["properties"]) == {
        "recipe_version",
        "extends",
        "name",
        "seed",
        "use",
        "sweep",
        "paint",
        "sow",
        "reap",
        "sell",
    }
