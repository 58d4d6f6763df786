"""A recipe that is called from another folder: its budget does not begin anew there without a word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpaca_pipe import UserError, api
from tests.command import command

RECIPE = "curate: {from: rows.jsonl, held_out: 1, filters: none}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder `mine` with a recipe that was run in it, and an empty one `elsewhere`."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "elsewhere").mkdir()
    asked = ["Name a tree.", "What is 3 x 4?", "Who wrote Faust?", "Translate: house"]
    rows = [{"instruction": one, "output": f"answer {n}"} for n, one in enumerate(asked)]
    (mine / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (mine / "tea.yaml").write_text(RECIPE)
    done = command("run", "tea.yaml", cwd=mine)
    assert done.code == 0, done.err
    return tmp_path


def test_another_folder_is_not_a_new_budget_without_a_word(home: Path) -> None:
    elsewhere, runs = home / "elsewhere", home / "mine" / "runs"
    for words in (
        ("plan", "../mine/tea.yaml"),
        ("run", "../mine/tea.yaml"),
        ("rows", "../mine/tea.yaml"),
    ):
        refused = command(*words, cwd=elsewhere)
        assert refused.code == 2 and f"tea was run in {runs}" in refused.err, refused.err
        assert f"--runs {runs}" in refused.err
    assert not list(elsewhere.iterdir())
    assert command("plan", "../mine/tea.yaml", "--runs", str(runs), cwd=elsewhere).code == 0
    named = command("plan", "../mine/tea.yaml", "--runs", "runs", cwd=elsewhere)
    assert named.code == 0, named.err  # who writes it out means this one
    assert command("plan", "../mine/tea.yaml", cwd=elsewhere, ALPACA_PIPE_RUNS="runs").code == 0
    anew = command("run", "../mine/tea.yaml", "--runs", str(elsewhere / "runs"), cwd=elsewhere)
    assert anew.code == 0, anew.err
    assert (
        command("run", "../mine/tea.yaml", cwd=elsewhere).code == 0
    )  # this workspace knows it by now


def test_a_folder_that_is_a_recipe_is_found_from_inside_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "mine" / "tea").mkdir()
    (home / "mine" / "tea" / "tea.yaml").write_text(RECIPE)
    (home / "mine" / "tea" / "rows.jsonl").write_bytes((home / "mine" / "rows.jsonl").read_bytes())
    monkeypatch.chdir(home / "mine" / "tea")
    with pytest.raises(UserError, match=f"tea was run in {home / 'mine' / 'runs'}"):
        api.plan("tea.yaml")
    api.plan("tea.yaml", rehearse=True)  # it costs nothing, wherever it is
    monkeypatch.chdir(home / "elsewhere")


def test_a_shipped_recipe_lies_beside_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`runs/` of a checkout stands beside its `recipes/`: a quickstart that was run there is planned anywhere else too."""
    folder, elsewhere = tmp_path / "checkout" / "recipes", tmp_path / "elsewhere"
    own = tmp_path / "checkout" / "runs" / "tea"
    for made in (folder, elsewhere, own):
        made.mkdir(parents=True)
    (own / "begun.json").write_text("{}")
    (folder / "tea.yaml").write_text(RECIPE)
    rows = [
        {"instruction": f"Name tree {n} of the {n * 7} here.", "output": f"t{n}"} for n in range(4)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(elsewhere)
    with pytest.raises(UserError, match="tea was run in"):
        api.plan(folder / "tea.yaml")
    monkeypatch.setattr("alpaca_pipe.recipe.other_workspace.shipped", lambda name: folder)
    api.plan(folder / "tea.yaml")


def test_another_recipe_of_that_name_has_not_run_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = home / "mine" / "other"
    own.mkdir()
    (own / "tea.yaml").write_text(RECIPE.replace("held_out: 1", "held_out: 2"))
    (own / "rows.jsonl").write_bytes((home / "mine" / "rows.jsonl").read_bytes())
    monkeypatch.chdir(own)
    api.plan("tea.yaml")


def test_a_run_from_another_machine_does_not_say_which_recipe_was_run_here(home: Path) -> None:
    """Results of other settings stand behind ours in the file, and their way to a recipe is another machine's."""
    mine = home / "mine"
    (mine / "other").mkdir()
    (mine / "other" / "tea.yaml").write_text(RECIPE.replace("held_out: 1", "held_out: 2"))
    history = mine / "runs" / "tea" / "history.jsonl"
    own = json.loads(history.read_text().splitlines()[-1])
    with history.open("a") as file:
        file.write(json.dumps(own | {"apart": True, "file": "../other/tea.yaml"}) + "\n")
    said = command("plan", "tea.yaml", cwd=mine)
    assert said.code == 0 and "another recipe called" not in said.out + said.err


def test_a_run_that_finished_no_step_is_not_called_none(home: Path) -> None:
    mine = home / "mine"
    (mine / "bad.yaml").write_text("curate: {from: rows.jsonl, held_out: 4, filters: none}\n")
    assert command("run", "bad.yaml", cwd=mine).code == 2
    said = command("history", "bad", cwd=mine)
    assert said.code == 2 and "a run was begun in runs, and no step of it is finished" in said.err
