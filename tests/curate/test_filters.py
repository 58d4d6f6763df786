"""Each filter: rows that it drops, with the reason, and near misses that it lets pass (filter_samples/)."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filter_config import ALL, NAMES, SETS, Filters, first_reason
from alpaca_pipe.data.stanford_rules import first_reason as stanfords_reason
from tests.curate.filter_samples.rows import row
from tools.reference import FOLDER

SAMPLES = Path(__file__).parent / "filter_samples"
# Rows sealed by version 3 of the stage carry reasons that come of this order. A new filter has its place between them.
SEALED = [
    "min_words",
    "max_words",
    "media",
    "write_a_program",
    "punctuation_start",
    "ascii_start",
    "empty_output",
    "control_characters",
    "garbage",
    "leaked_task",
    "refusal",
    "output_is_input",
    "output_is_instruction",
    "instruction_in_input",
    "hidden_link",
    "attachment",
    "media_request",
    "code_fence",
    "repetition",
    "repeated_items",
    "truncated",
    "wrong_arithmetic",
    "personal_data",
    "language",
    "length",
]


def samples(name: str) -> ModuleType:
    assert (SAMPLES / f"{name}.py").exists(), (
        f"filter '{name}' has no samples: add tests/curate/filter_samples/{name}.py with DROPS and PASSES"
    )
    return import_module(f"tests.curate.filter_samples.{name}")


def test_filters_look_in_the_order_by_which_outputs_are_sealed() -> None:
    assert [name for name in NAMES if name in SEALED] == SEALED
    assert len({one.order for one in ALL}) == len(ALL), "two filters share a place"


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_drops_its_samples_for_their_reason_and_lets_the_near_misses_pass(
    name: str,
) -> None:
    found = samples(name)
    assert found.DROPS and found.PASSES, name
    if name == "language":
        pytest.importorskip("py3langid")
    only = Filters.model_validate(
        {one: getattr(found, "SETTINGS", True) if one == name else False for one in NAMES}
    ).active()
    for example, reason in found.DROPS:
        assert first_reason(example, only) == (name, reason)
    for example in found.PASSES:
        assert first_reason(example, only) is None, example


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_has_its_row_in_the_manual(name: str) -> None:
    rows = (FOLDER / "recipes.md").read_text(encoding="utf-8").splitlines()
    said = [row for row in rows if row.startswith(f"| `{name}` | ")]
    assert any(row.split(" | ")[1].strip() for row in said), (
        f"filter '{name}' has no row in the manual: give its function a docstring, then python -m tools.reference"
    )


def test_no_samples_are_left_of_a_filter_that_is_gone() -> None:
    assert {path.stem for path in SAMPLES.glob("*.py")} - {"__init__", "rows"} <= set(NAMES)


def test_the_first_filter_gives_the_reason() -> None:
    assert first_reason(row("Draw it.", output=""), Filters().active()) == (
        "min_words",
        "the instruction has 2 words, at least 4 wanted",
    )


def test_switches_and_settings() -> None:
    assert [rule.name for rule in Filters().active()] == [one.name for one in ALL if one.on]
    some = Filters.model_validate({"min_words": {"least": 2}, "media": False, "ascii_start": True})
    assert first_reason(row("Draw pictures."), some.active()) is None
    assert first_reason(row("Était-ce lui?"), some.active()) == (
        "ascii_start",
        "the instruction starts with 'É', which is not ASCII",
    )
    assert some.identity() | {"min_words": {"least": 2}, "ascii_start": {}} == some.identity()
    assert "media" not in some.identity(), "a filter that is off is as if there were none"
    fewer = Filters.model_validate({"refusal": False}).identity().keys()
    assert fewer == Filters().identity().keys() - {"refusal"}


def test_true_is_the_same_as_the_defaults_written_out() -> None:
    assert Filters.model_validate({"repetition": {"most": 0.5}}).identity() == Filters().identity()
    assert Filters.model_validate({"repetition": True}).identity() == Filters().identity()


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_wrods": True},
        {"min_words": {"leest": 2}},
        {"min_words": {"least": "2"}},
        {"min_words": {"least": -1}},
        {"min_words": 2},
        {"media": {"least": 1}},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filters.model_validate(wrong)


@given(st.builds(row, st.text(), st.text(), st.text()))
def test_any_text_is_answered_with_one_line_or_none(example: Example) -> None:
    for one in ALL:
        if one.name == "language":
            continue  # loads a model; has its own test
        reason = one(example)
        assert reason is None or (reason and "\n" not in reason)


@pytest.mark.parametrize(
    ("written", "on"),
    [
        ("none", set()),
        ("stanford", SETS["stanford"]),
        ("default", SETS["default"]),
        (["refusal", "media"], {"refusal", "media"}),
        ("refusal, media", {"refusal", "media"}),
        (["stanford", "refusal"], {*SETS["stanford"], "refusal"}),
        ([], set()),
    ],
)
def test_named_sets(written: object, on: set[str]) -> None:
    assert {rule.name for rule in Filters.model_validate(written).active()} == on
    assert Filters.model_validate("default").identity() == Filters().identity()


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(
        ValidationError, match="no filter and no set is called 'refusals' - did you mean 'refusal'?"
    ):
        Filters.model_validate("refusals")


def test_stanfords_set_is_stanfords_own_rules_in_their_order() -> None:
    """data/stanford_rules.py has the reference's decisions; both must drop the same instructions."""
    rules = Filters.model_validate("stanford").active()
    for example in (
        row(text)
        for text in (
            "Draw it.",
            "word " * 151,
            "Describe a map of it.",
            "Write a program, please.",
            "'Tis the season: explain it.",
            "Était-ce lui, ce soir?",
            "Name a warm color.",
        )
    ):
        said, own_words = first_reason(example, rules), stanfords_reason(example.instruction)
        assert (said and said[1]) == (own_words and own_words[1])


def test_a_language_is_named_in_a_word() -> None:
    assert Filters.model_validate({"language": "da"}).identity()["language"] == {
        "wanted": "da",
        "certain": 0.99,
    }


def test_length_in_tokens(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    own_tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?")
    )
    own_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    own_tokenizer.save(str(tmp_path / "tokenizer.json"))
    filters = Filters.model_validate_json(
        '{"length": {"most": 3, "of": "output", "tokenizer": "tokenizer.json"}}',
        context={"folder": tmp_path},
    )
    [rule] = [rule for rule in filters.active() if rule.name == "length"]
    assert rule.reason(row(output="one two one")) is None
    assert rule.reason(row(output="one, two")) is None
    assert rule.reason(row(output="one, two, ")) == "the output has 4 tokens, at most 3 wanted"
    assert str(tmp_path) not in json.dumps(filters.identity())
