"""`base.model: run:RECIPE@WHEN`: going on from a run's model is training from its merged folder, to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from alpaca_pipe.core.files import file_digest, read_json, read_jsonl, write_json, write_jsonl
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.models.run_as_base import ModelOfRun, RecipeBase, base_of, model_of_run
from alpaca_pipe.recipe.workspace import Workspace
from tests.command import command
from tests.evaluate.conftest import rows
from tests.once import once

FIRST = """
base: {model: tiny}
curate: {from: rows.jsonl, held_out: 4}
train: {max_steps: 3, per_device_train_batch_size: 4, control: none}
export: {dataset: []}
"""


def made(home: Path) -> None:
    """A folder with rows, the recipe `first`, and its run."""
    home.mkdir(parents=True)
    write_jsonl(home / "rows.jsonl", (row.to_row() for row in rows(0, 20)))
    (home / "first.yaml").write_text(FIRST)
    assert run(home, "first") == 0


def run(home: Path, *words: str) -> int:
    return command("run", *words, cwd=home, OMP_NUM_THREADS="1").code


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the test's own with the run of `first`."""
    import shutil

    shutil.copytree(once("run-as-base", made), tmp_path / "home", symlinks=True)
    return tmp_path / "home"


def write(home: Path, name: str, model: str, more: str = "") -> None:
    text = FIRST.replace("model: tiny", f"model: '{model}'").replace("max_steps: 3", "max_steps: 2")
    (home / f"{name}.yaml").write_text(text + more)


def steps_of(home: Path, recipe: str) -> dict[str, str]:
    found: dict[str, str] = Workspace(home / "runs").lock(recipe)["steps"]
    return found


def test_going_on_is_training_from_the_merged_folder(home: Path) -> None:
    """The same step by its identity, and the same bytes where it is made apart."""
    merged = home / "runs" / "store" / steps_of(home, "first")["export"] / "merged"
    write(home, "more", "run:first")
    write(home, "by_folder", str(merged))
    assert run(home, "more") == 0
    said = command("run", "by_folder", "--runs", "elsewhere", cwd=home, OMP_NUM_THREADS="1")
    assert said.code == 0
    apart = Workspace(home / "elsewhere").lock("by_folder")["steps"]
    assert apart == steps_of(home, "more")
    for name in ("model.safetensors", "config.json"):
        one, other = (
            runs / "store" / apart["export"] / "merged" / name
            for runs in (home / "runs", home / "elsewhere")
        )
        assert file_digest(one) == file_digest(other)
    losses = list(
        read_jsonl(home / "runs" / "store" / steps_of(home, "more")["train"] / "loss.jsonl")
    )
    first = list(
        read_jsonl(home / "runs" / "store" / steps_of(home, "first")["train"] / "loss.jsonl")
    )
    assert losses[0]["loss"] < first[0]["loss"]  # the same rows, by a model that has seen them
    assert "up to date" in command("plan", "more", cwd=home).out


def test_plan_history_and_report_say_where_it_came_from(home: Path) -> None:
    write(home, "more", "run:first")
    whole = next(read_jsonl(home / "runs" / "first" / "history.jsonl"))["run"]
    plan = command("plan", "more", "--json", cwd=home)
    assert f"continues from the merged model of first@{whole}" in plan.out, plan
    assert run(home, "more", "--until", "train") == 0
    row = next(read_jsonl(home / "runs" / "more" / "history.jsonl"))
    assert row["config"]["base"]["model"] == f"run:first@{whole}"
    again = base_of(row["config"]["base"], home / "runs")
    assert isinstance(again.model, ModelOfRun) and again.model.run == f"first@{whole}"
    assert command("report", "more", cwd=home).code == 0
    page = next((home / "runs" / "more" / "reports").glob("*.html")).read_text()
    assert f"the model of first@{whole}" in page


def test_the_card_and_the_terms_go_back_to_what_the_first_was_tuned_from(home: Path) -> None:
    export = home / "runs" / "store" / steps_of(home, "first")["export"]
    card = export / "merged" / "README.md"
    card.write_text(card.read_text().replace("---\n", "---\nbase_model: some/llama-7b\n", 1))
    history = home / "runs" / "first" / "history.jsonl"
    brings = [["base", "some/llama-7b", ""], ["teacher", "gpt-4o", ""]]
    write_jsonl(history, [{**row, "terms": {"brings": brings}} for row in read_jsonl(history)])
    base = RecipeBase.model_validate_json('{"model": "run:first"}', context={"runs": home / "runs"})
    assert base.brings() == tuple(Ingredient(*one) for one in brings)  # type: ignore[arg-type]
    folder = RecipeBase.model_validate({"model": str(export / "merged")})
    assert folder.brings() == (Ingredient("base", "some/llama-7b"),)
    assert folder.identity() == base.identity()
    write(home, "more", "run:first")
    assert run(home, "more") == 0
    text = (
        home / "runs" / "store" / steps_of(home, "more")["export"] / "merged" / "README.md"
    ).read_text()
    assert "base_model: some/llama-7b" in text
    assert f"| tuned before | began at {base.published}, tuned from some/llama-7b |" in text


def test_a_fully_tuned_model_needs_no_export(home: Path) -> None:
    assert (
        run(home, "first", "train.method=full", "train.learning_rate=1e-3", "--until", "train") == 0
    )
    model = model_of_run("first", home / "runs")
    assert model.form == "fully tuned model" and (model / "model.safetensors").is_file()


def history(home: Path, recipe: str, *runs: dict[str, Any]) -> None:
    own = home / "runs" / recipe
    write_jsonl(own / "history.jsonl", ({"outcome": "done", "steps": {}, **row} for row in runs))
    write_json(own / "lock.json", {"recipe": recipe, "steps": {}})


def test_bad_names_are_one_sentence_each(home: Path) -> None:
    days = [f"2026-11-2{day}T10-00-00-0000" for day in range(3)]
    trained = {"train": steps_of(home, "first")["train"]}
    history(home, "rows_only", {"run": days[0], "config": {"curate": {}}})
    history(home, "gone", {"run": days[0], "config": {"train": {}}, "steps": {"train": "train-0"}})
    history(home, "adapter", {"run": days[0], "config": {"train": {}}, "steps": trained})
    for said, sentence in (
        ("frist", "frist: nothing was run in runs - did you mean 'first'?"),
        ("first@2020", "first: there is no run of 2020 - it has runs of 2026-"),
        ("rows_only", "rows_only: nothing was trained, this recipe has no 'train:'"),
        ("gone", "gone: a model was trained, and its folder is not in runs any more"),
        (
            "adapter",
            f"adapter@{days[0]} left an adapter, and a base is a whole model - `alpaca-pipe run adapter --until export`",
        ),
        ("../first", "cannot hold something called"),
    ):
        write(home, "more", f"run:{said}")
        for verb in ("plan", "run"):
            found = command(verb, "more", cwd=home)
            lines = [line for line in found.err.splitlines() if line.strip()]
            assert found.code == 2 and len(lines) == 1, found
            assert sentence in lines[0] and "more.yaml:2" in lines[0], found
    assert not (home / "runs" / "more").exists()


def test_a_recipe_that_goes_on_from_its_own_last_run_is_refused(home: Path) -> None:
    """Each run would make the next one another; named whole, it is what it was."""
    whole = json.loads((home / "runs" / "first" / "history.jsonl").read_text())["run"]
    said = command("plan", "first", "base.model=run:first", cwd=home)
    assert said.code == 2 and f"base.model: run:first@{whole}" in said.err
    assert run(home, "first", f"base.model=run:first@{whole}", "--until", "train") == 0
    assert "up to date" in command("plan", "first", f"base.model=run:first@{whole}", cwd=home).out


def test_its_own_files_do_not_change(home: Path) -> None:
    """What a history row says of a run is read, and no more of it."""
    before = read_json(home / "runs" / "first" / "lock.json")
    write(home, "more", "run:first")
    command("plan", "more", cwd=home)
    assert read_json(home / "runs" / "first" / "lock.json") == before
