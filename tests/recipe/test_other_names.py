"""A key goes by our word or by the field's term: both are read, and whatever looks at the recipe later knows one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.recipe.other_names import models_in
from alpaca_pipe.recipe.schema import Recipe, load_recipe, recipe_model

RECIPE = """\
teacher: {kind: openai_batch, model: m, price: free, %s}
generate:
  style: documents
  documents: [notes.md]
  count: 5
  %s
curate:
  %s
"""
OURS = (
    "refuses: [seed], window: 12h, poll: 5",
    "likeness: 0.6\n  words: rouge\n  shown: 4\n  times: 2\n  passage: 99",
    "likeness: 0.5\n  words: rouge\n  keep_going: true\n  first: 9\n  held_out: 3",
)
FIELD = (
    "unsupported_params: [seed], completion_window: 12h, poll_interval: 5",
    "similarity_threshold: 0.6\n  tokenizer: rouge\n  num_examples: 4\n  passes: 2\n  chunk_size: 99",
    "similarity_threshold: 0.5\n  tokenizer: rouge\n  skip_invalid: true\n  max_rows: 9\n  test_size: 3",
)


def every_table() -> Iterator[type[Table]]:
    """Of a recipe, those within others too."""
    todo: list[Any] = [recipe_model(CATALOG)]
    seen: set[Any] = set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        if issubclass(one, Table):
            yield one
            todo += one.variants()
        todo += [
            inner for field in one.model_fields.values() for inner in models_in(field.annotation)
        ]


def load(folder: Path, text: str, *overrides: str, name: str = "r.yaml") -> Recipe:
    (folder / "notes.md").write_text("A bridge carries a train.")
    (folder / name).write_text(text)
    return load_recipe(str(folder / name), CATALOG, overrides)


def said_by(recipe: Recipe) -> dict[str, Any]:
    tables = {**recipe.tables, **recipe.stages}
    return {name: (table.identity(), table.model_dump()) for name, table in tables.items()}


def test_a_second_name_is_of_a_key_that_there_is_and_no_key_itself() -> None:
    named = [(table, table.other_names()) for table in every_table() if table.other_names()]
    assert len(named) > 5
    for table, names in named:
        keys = {field.alias or name for name, field in table.model_fields.items()}
        abstract = bool(table.variants())
        for second, first in names.items():
            assert second not in keys and (first in keys or abstract), (table, second, first)
            assert not table.model_fields[first].is_required(), "an editor would miss the first"


def test_both_names_are_the_same_recipe(tmp_path: Path) -> None:
    ours, field = load(tmp_path, RECIPE % OURS), load(tmp_path, RECIPE % FIELD)
    assert said_by(ours) == said_by(field)
    assert ours.resolved() == field.resolved() and ours.written == field.written
    assert ours.stages["generate"].times == 2  # type: ignore[attr-defined]


def test_on_the_command_line_either_name_takes_the_place_of_what_is_written(tmp_path: Path) -> None:
    for text in (OURS, FIELD):
        for key in ("likeness", "similarity_threshold"):
            recipe = load(tmp_path, RECIPE % text, f"generate.{key}=0.9", "curate.test_size=1")
            assert str(recipe.stages["generate"].likeness) == "0.9"  # type: ignore[attr-defined]
            assert recipe.stages["curate"].held_out == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("under", "over"), [(OURS, FIELD), (FIELD, OURS)])
def test_a_recipe_wins_over_what_it_extends_whatever_each_calls_it(
    under: tuple[str, str, str], over: tuple[str, str, str], tmp_path: Path
) -> None:
    load(tmp_path, RECIPE % under, name="base.yaml")
    below = RECIPE % tuple(part.replace("0.6", "0.1").replace("0.5", "0.2") for part in under)
    load(tmp_path, below, name="base.yaml")
    recipe = load(tmp_path, f"extends: base.yaml\n{RECIPE % over}")
    assert said_by(recipe) == said_by(load(tmp_path, RECIPE % OURS))


def test_both_in_one_table_is_an_error(tmp_path: Path) -> None:
    text = "generate:\n  count: 5\n  likeness: 0.6\n  similarity_threshold: 0.6\n"
    with pytest.raises(UserErrors) as caught:
        load(tmp_path, text)
    assert (
        "r.yaml:4: generate.similarity_threshold: it is another name of 'likeness', and both are given - "
        "remove one of them"
    ) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "generate:\n  count: 5\n  similarity_threshold: 2\n",
            "r.yaml:3: generate.similarity_threshold: should be less than or equal to 1, not 2",
        ),
        (
            "generate:\n  count: 5\n  similarity_treshold: 0.5\n",
            "r.yaml:3: generate.similarity_treshold: unknown key - did you mean 'similarity_threshold'?",
        ),
        (
            "teacher: {kind: openai_chat, model: m, completion_window: 12h}\n",
            "teacher.completion_window: a teacher of kind openai_chat has no 'window'",
        ),
    ],
)
def test_errors_speak_of_the_name_that_was_written(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert sentence in str(caught.value)


def test_an_editor_is_told_of_both_names() -> None:
    schema = recipe_model(CATALOG).model_json_schema(by_alias=True)
    curate = schema["$defs"]["CurateConfig"]["properties"]
    assert curate["test_size"]["description"] == "the same as held_out"
    assert curate["test_size"]["type"] == curate["held_out"]["type"] == "integer"
    kinds = schema["properties"]["teacher"]["anyOf"][0]["oneOf"]
    assert all("unsupported_params" in kind["properties"] for kind in kinds)
