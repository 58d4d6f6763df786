"""`migrate`: old names become today's, everything else stays byte for byte, and what it writes loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.recipe.migrate import migrate
from alpaca_pipe.recipe.schema import load_recipe

OLD = """# My recipe.
# It has a head of two lines.

curate:
  from: rows.jsonl               # mine
base: {model: tiny}
train:
  epochs: 2                      # twice
  lora_r: 8                      # small
  lr: 1e-4
  lora_target_modules:           # two of them
    - q_proj
    - v_proj
  # before the size
  'batch_size': 4
evaluate: {}
"""
NEW = """# My recipe.
# It has a head of two lines.

recipe_version: 1

curate:
  from: rows.jsonl               # mine
base: {model: tiny}
train:
  num_train_epochs: 2                      # twice
  lora:
    target_modules:           # two of them
      - q_proj
      - v_proj
    r: 8                      # small
  learning_rate: 1e-4
  # before the size
  per_device_train_batch_size: 4
evaluate: {}
"""


def write(folder: Path, text: str) -> Path:
    (folder / "rows.jsonl").write_text(
        '{"instruction": "Name a lake.", "input": "", "output": "Lake Chad"}\n'
    )
    (folder / "r.yaml").write_text(text)
    return folder / "r.yaml"


def test_old_names_become_todays_and_comments_stay(tmp_path: Path) -> None:
    path = write(tmp_path, OLD)
    done = migrate(path, CATALOG)
    assert path.read_text() == done.text == NEW
    assert (
        len(done.changes) == 6
        and done.changes[0] == "line 8: train.epochs is called num_train_epochs now"
    )
    config = load_recipe(str(path), CATALOG).stages["train"].model_dump()
    assert (config["num_train_epochs"], config["lora"]["r"], config["lora"]["target_modules"]) == (
        2,
        8,
        ("q_proj", "v_proj"),
    )
    assert migrate(path, CATALOG).changes == ()


def test_the_error_of_an_old_name_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(str(write(tmp_path, OLD)), CATALOG)
    assert (
        "train.epochs: unknown key - it is called 'num_train_epochs' now; `alpaca-pipe migrate` writes it so"
        in str(caught.value)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "train: {lr: 1, learning_rate: 2}\n",
            "r.yaml:1: train.lr: it is called 'learning_rate' now, and that is there too",
        ),
        ("train: {lora_r: 1}\n", "r.yaml:1: 'lora_r' cannot be moved out of a table in one line"),
        ("{train: {lr: 1}}\n", "r.yaml: it is written in a way that cannot be edited line by line"),
        ("{}\n", "r.yaml: it is written in a way that cannot be edited line by line"),
        (
            "--- {curate: {from: rows.jsonl}}\n",
            "r.yaml: it is written in a way that cannot be edited line by line",
        ),
        (
            "train:\n  lora: {r: 1}\n  lora_alpha: 3\n",
            "r.yaml:3: 'lora_alpha' cannot be moved into 'lora', which stands in one line",
        ),
    ],
)
def test_what_it_leaves_to_a_person_is_said_and_nothing_is_written(
    tmp_path: Path, text: str, said: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        migrate(path, CATALOG)
    assert said in str(caught.value) and path.read_text() == text


@pytest.mark.parametrize("head", ["---\n", "# Mine.\n---  # it begins\n", "%YAML 1.2\n---\n\n"])
def test_a_document_that_is_marked_as_one_begins_behind_its_mark(tmp_path: Path, head: str) -> None:
    path = write(tmp_path, f"{head}train:\n  lr: 1e-4\n")
    migrate(path, CATALOG)
    assert path.read_text() == f"{head}recipe_version: 1\n\ntrain:\n  learning_rate: 1e-4\n"


@pytest.mark.parametrize(
    "path", sorted(shipped("recipes").glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_recipes_are_up_to_date(path: Path) -> None:
    assert migrate(path, CATALOG, write=False).changes == ()


def test_the_command_shows_what_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path, OLD)
    shown = CliRunner().invoke(app, ["migrate", str(path), "--dry-run"])
    assert (
        shown.exit_code == 0
        and "+  num_train_epochs: 2" in shown.output
        and path.read_text() == OLD
    )
    CliRunner().invoke(app, ["migrate", str(path)])
    assert path.read_text() == NEW
    assert "nothing to change" in CliRunner().invoke(app, ["migrate", str(path)]).output
