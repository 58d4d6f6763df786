"""The filters on Stanford's released rows, against the counts in the design notes."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate import repairs
from alpaca_pipe.curate.detectors import placeholders
from alpaca_pipe.curate.filter_config import ALL, Filters
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules


@pytest.fixture(scope="module")
def hits(released: list[Example]) -> Counter[str]:
    """Without `language`, which takes as long as all the others."""
    return Counter(
        one.name for one in ALL if one.name != "language" for row in released if one(row)
    )


def test_stanfords_own_filters_drop_none_of_stanfords_rows(hits: Counter[str]) -> None:
    own = ("min_words", "max_words", "media", "write_a_program", "punctuation_start", "ascii_start")
    assert {name: hits[name] for name in own} == dict.fromkeys(own, 0)


def test_exact_counts(released: list[Example], hits: Counter[str]) -> None:
    assert len(released) == 52_002
    assert sum(not row.output.strip() for row in released) == 28
    assert (
        sum(row.output.strip() == row.input.strip() != "" for row in released) == 55
    )  # most of them rightly
    assert hits["leaked_task"] == 37
    assert hits["output_is_instruction"] == 1
    assert hits["control_characters"] == 2
    assert hits["garbage"] == 3


def test_counts_that_depend_on_where_the_line_is_drawn(
    released: list[Example], hits: Counter[str]
) -> None:
    """Placeholder inputs "about 670"; outputs 22 + 39 and some "N/A"; refusals 45, of which 44 and five others."""
    assert 650 <= sum(repairs.no_input(row) is not None for row in released) <= 690
    assert 55 <= sum(placeholders.is_no_output(row.output) for row in released) <= 70
    assert 45 <= hits["refusal"] <= 55
    assert 140 <= hits["attachment"] <= 180  # 100 placeholders, and pictures behind links
    assert 240 <= hits["hidden_link"] <= 288  # of 288 inputs with a link


def test_legitimate_short_answers_stay(released: list[Example]) -> None:
    """ "Negative" 44 times, bare numbers, single characters: hardly one of them is dropped for what its output is."""
    short = [
        row
        for row in released
        if len(row.output.split()) == 1 and not placeholders.is_no_output(row.output)
    ]
    assert len(short) > 2_500
    of_output = [
        one
        for one in ALL
        if one.name
        in (
            "output_is_input",
            "truncated",
            "repetition",
            "repeated_items",
            "refusal",
            "code_fence",
            "leaked_task",
        )
    ]
    assert [row.output for row in short for one in of_output if one(row)] == []
    single = [row for row in short if len(row.output) == 1]
    assert len(single) == 238


def test_repeated_answers_stay(released: list[Example]) -> None:
    """1,160 outputs are given more than once, and none of them is dropped for that: no rule looks at other rows' outputs."""
    answers = Counter(row.output.strip() for row in released)
    assert answers["Negative"] >= 44 and sum(count - 1 for count in answers.values()) == 1_160
    assert not any(
        one(row)
        for row in released
        if row.output.strip() == "Negative"
        for one in ALL
        if one.name != "language"
    )


@pytest.mark.slow
def test_the_whole_cleaning_adds_up(released: list[Example]) -> None:
    """52,002 = kept + dropped, and no instruction is a duplicate of another at 0.7."""
    every = list(judged(released, CurationRules(Filters().active(), True, Decimal("0.7"), "rouge")))
    answers = Counter(answer.rejected.rule if answer.rejected else "kept" for answer in every)
    assert answers.total() == 52_002 and answers["likeness"] == 0
    assert 50_900 <= answers["kept"] <= 51_300
    mended = Counter(
        rule for answer in every if answer.before for rule in answer.repair.split(", ")
    )
    assert (
        650 <= mended["no_input"] <= 690
        and mended["next_task"] == 36
        and 9 <= mended["invisible"] <= 12
    )
    for answer in every:
        if answer.before:
            assert (
                answer.example.origin.parents == (answer.before.id,)
                and answer.example.id != answer.before.id
            )
