"""Slips of a first recipe: the sentence says what a hand did, in words for people who do not know YAML's grammar."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.schema import load_recipe


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "generate:\n  count: 5\n seeds: vet\n",
            ":3: this line is indented differently from the lines above it - start all keys of a table",
        ),
        (
            "generate:\n  count: 5\n    seeds: vet\n",
            ":3: there is a second colon, or this line is indented more than the one above",
        ),
        ("generate:\n\tcount: 5\n", ":2: there is a tab - indent with blanks"),
        (
            "count: 5\ngenerate:\n  count: 5\n",
            ":1: count: this key belongs into a table - did you mean 'generate.count'?",
        ),
        (
            "method: lora\ngenerate:\n  count: 5\n",
            ":1: method: this key belongs into a table - did you mean 'train.method'?",
        ),
    ],
)
def test_a_slip_is_said_plainly(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_recipe(str(tmp_path / "r.yaml"), CATALOG)
    assert f"r.yaml{sentence}" in str(error.value)


def test_an_override_without_its_table() -> None:
    with pytest.raises(
        UserError,
        match="override 'count=5': count: this key belongs into a table - did you mean 'generate.count'",
    ):
        load_recipe("quickstart", CATALOG, ["count=5"])
