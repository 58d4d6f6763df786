"""The filters on Stanford's released rows, against the counts in the design notes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate import defects
from alpaca_pipe.curate.filters import ALL, Filters
from alpaca_pipe.curate.judge import judged
from alpaca_pipe.curate.repairs import without_no_input


@pytest.fixture(scope="module")
def rows(data: Path) -> list[Example]:
    path = data / "alpaca_data.json.gz"
    if not path.is_file():
        pytest.skip(f"the released rows are not here: {path}")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [Example.of(row["instruction"], row["input"], row["output"], Origin("imported", f"alpaca#{line}"))
                for line, row in enumerate(json.load(stream), 1)]


@pytest.fixture(scope="module")
def hits(rows: list[Example]) -> Counter[str]:
    return Counter(one.__name__ for one in ALL for row in rows if one(row))


def test_stanfords_own_filters_drop_none_of_stanfords_rows(hits: Counter[str]) -> None:
    own = ("min_words", "max_words", "media", "write_a_program", "punctuation_start", "ascii_start")
    assert {name: hits[name] for name in own} == dict.fromkeys(own, 0)


def test_exact_counts(rows: list[Example], hits: Counter[str]) -> None:
    assert len(rows) == 52_002
    assert sum(not row.output.strip() for row in rows) == 28
    assert hits["leaked_task"] == 37
    assert hits["output_is_input"] == 55
    assert hits["output_is_instruction"] == 1
    assert hits["control_characters"] == 2


def test_counts_that_depend_on_where_the_line_is_drawn(rows: list[Example], hits: Counter[str]) -> None:
    """Placeholder inputs "about 670"; outputs 22 + 39 and some "N/A"; refusals 45, of which ours takes 26."""
    assert 650 <= sum(without_no_input(row) is not None for row in rows) <= 690
    assert 55 <= sum(defects.is_no_output(row.output) for row in rows) <= 70
    assert 20 <= hits["refusal"] <= 45
    assert hits["truncated"] <= 20 and hits["repetition"] <= 20


def test_legitimate_short_answers_stay(rows: list[Example]) -> None:
    """"Negative" 44 times, bare numbers, single characters: none of them is taken for a defect of the output."""
    short = [row for row in rows if len(row.output.split()) == 1 and not defects.is_no_output(row.output)
             and row.output.strip() != row.input.strip()]
    assert len(short) > 2_500
    assert [row.output for row in short for one in ALL if one(row)] == []


@pytest.mark.slow
def test_the_whole_cleaning_adds_up(rows: list[Example]) -> None:
    """26 s on a busy core: 52,002 = kept + dropped, and no instruction is a duplicate of another at 0.7."""
    answers = Counter(answer.rejected.rule if answer.rejected else "kept"
                      for answer in judged(rows, Filters().rules(), True, Decimal("0.7"), "rouge"))
    assert answers.total() == 52_002 and answers["likeness"] == 0
    assert 51_700 <= answers["kept"] <= 51_850
