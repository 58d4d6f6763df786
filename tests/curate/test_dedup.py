"""Duplicates: the same decisions whatever the engine, in groups, of which the first row or the best one stays."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.config import Duplicates, On
from alpaca_pipe.curate.dedup import Group, Near, groups, met, told_by
from alpaca_pipe.curate.judgement import Judged
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.similarity.rouge import rouge_l

LIKELY = ("name", "list", "river", "planet", "tea", "poem", "short", "long", "the", "a")
texts = st.lists(st.lists(st.sampled_from(LIKELY), max_size=8).map(" ".join), max_size=25)


def row(
    instruction: str, input: str = "", output: str = "An answer.", **details: object
) -> Example:
    return Example.of(instruction, input, output, Origin("generated", "r1-0", (), details))


def verdicts(rows: Sequence[Example], likeness: str = "0.7", **duplicates: object) -> list[Judged]:
    return list(
        judged(
            rows,
            CurationRules(
                (), True, Decimal(likeness), "unicode", Duplicates.model_validate(duplicates)
            ),
        )
    )


def kept(answers: Sequence[Judged]) -> list[str]:
    return [answer.example.output for answer in answers if not answer.rejected]


@settings(deadline=None)
@given(texts, st.sampled_from(["0.5", "0.65", "0.7", "0.875", "1"]))
def test_in_bulk_and_one_by_one_decide_alike(some: list[str], likeness: str) -> None:
    pytest.importorskip("numba")
    bulk = met(some, Decimal(likeness), "unicode", bulk_from=0)
    assert bulk == met(some, Decimal(likeness), "unicode", bulk_from=len(some) + 1)
    stayed: list[int] = []
    for place, text in enumerate(some):
        near = [(rouge_l(text, some[other], "unicode"), -other) for other in stayed]
        best = max(near, default=(Fraction(0), 0))
        if best[0] > Fraction(likeness):
            assert bulk[place] == Near(-best[1], best[0])
        else:
            assert place not in bulk
            stayed.append(place)


def test_the_released_rows_decide_alike(released: list[Example]) -> None:
    """0.5 on 6,000 of them, where duplicates are."""
    pytest.importorskip("numba")
    some = [example.instruction for example in released[:6000]]
    bulk = met(some, Decimal("0.5"), "rouge", bulk_from=0)
    assert len(bulk) > 200 and bulk == met(some, Decimal("0.5"), "rouge", bulk_from=10**9)


def test_what_is_compared() -> None:
    one = row("Sort it.", "b, a", "a, b")
    assert {on: told_by(one, on) for on in get_args(On)} == {
        "task": ("Sort it.", "b, a"),
        "instruction": "Sort it.",
        "input": "b, a",
        "output": "a, b",
        "row": "\nSort it.\nb, a\na, b",
        "instruction+input": "Sort it.\nb, a",
    }
    assert told_by(row("Sort it."), "task") == "Sort it."


def test_a_shared_instruction_makes_no_duplicates() -> None:
    rows = [
        row("Sort the words in this list.", "pear, apple, fig", "1"),
        row("Sort the words in this list.", "dog, cat, bee, ant, eel", "2"),
        row("Sort the words in this list.", "pear, apple, fig", "3"),
        row("Sort all the words in this list.", "pear, apple, fig, plum", "4"),
        row("Sort the words in this list.", "", "5"),
        row("Count the letters of each word.", "pear, apple, fig", "6"),
    ]
    assert kept(verdicts(rows)) == ["1", "2", "5", "6"]
    assert kept(verdicts(rows, on="instruction")) == ["1", "6"]
    assert kept(verdicts(rows, on="instruction+input")) == ["1", "2", "6"]
    assert kept(verdicts(rows, on="input")) == ["1", "2", "5"]
    assert kept(verdicts(rows, on="output")) == ["1", "2", "3", "4", "5", "6"]
    words = [row("Say the plural of this word.", one, one) for one in ("pear", "ox", "a lantern")]
    assert kept(verdicts(words)) == ["pear", "ox", "a lantern"]


pairs = st.lists(
    st.tuples(
        st.sampled_from(["name it", "list the river", "a long river poem", "tea", ""]),
        st.lists(st.sampled_from(LIKELY), max_size=5).map(" ".join),
    ).flatmap(lambda two: st.sampled_from([two, two[::-1]])),
    max_size=25,
)


@settings(deadline=None)
@given(pairs, st.sampled_from(["0.5", "0.65", "0.7", "1"]))
def test_of_two_texts_each_must_be_near(some: list[tuple[str, str]], likeness: str) -> None:
    """The oracle compares every pair by the definition: the lesser F counts."""
    pytest.importorskip("numba")
    bulk = met(some, Decimal(likeness), "unicode", bulk_from=0)
    assert bulk == met(some, Decimal(likeness), "unicode", bulk_from=len(some) + 1)
    stayed: list[int] = []
    for place, text in enumerate(some):
        near = [
            (min(map(rouge_l, text, some[other], ("unicode", "unicode"))), -other)
            for other in stayed
        ]
        best = max(near, default=(Fraction(0), 0))
        if best[0] > Fraction(likeness):
            assert bulk[place] == Near(-best[1], best[0])
        else:
            assert place not in bulk
            stayed.append(place)


ALIKE = "Name the longest river of Asia."


def test_the_first_or_the_best_stays() -> None:
    rows = [
        row(ALIKE, output="one"),
        row(ALIKE, output="three words more"),
        row("Explain what a comet is.", output="else"),
        row(ALIKE, output="two words"),
    ]
    assert kept(verdicts(rows)) == ["one", "else"]
    answers = verdicts(rows, keep="best")
    assert kept(answers) == ["three words more", "else"]
    assert {answer.rejected.nearest for answer in answers if answer.rejected} == {rows[1].id}
    assert answers[0].rejected and answers[0].rejected.reason == "a better row tells the same"


def test_a_grade_is_worth_more_than_length() -> None:
    rows = [
        row(ALIKE, output="a much longer answer", grade=3.0),
        row(ALIKE, output="short", grade=4.5),
        row(ALIKE, output="none at all, and long"),
    ]
    assert kept(verdicts(rows, keep="best")) == ["short"]


def test_groups_are_those_of_the_pass_in_row_order() -> None:
    near = {2: Near(0, Fraction(3, 4)), 3: Near(1, Fraction(1)), 5: Near(0, Fraction(1))}
    assert groups(near) == [
        Group(0, 0, ((2, Fraction(3, 4)), (5, Fraction(1)))),
        Group(1, 1, ((3, Fraction(1)),)),
    ]
    worth = [(1.0,), (1.0,), (9.0,), (1.0,), (0.0,), (2.0,)]
    assert groups(near, worth) == [
        Group(2, 0, ((0, Fraction(1)), (5, Fraction(1)))),
        Group(1, 1, ((3, Fraction(1)),)),
    ]


@settings(deadline=None)
@given(texts, st.sampled_from(["first", "best"]))
def test_one_of_each_group_stays_and_all_rows_are_answered(some: list[str], keep: str) -> None:
    rows = [row(text, output="x" * (n % 4)) for n, text in enumerate(some)]
    answers = verdicts(rows, "0.65", keep=keep)
    assert len(answers) == len(rows)
    ids = {answer.example.id for answer in answers if not answer.rejected}
    assert all(answer.rejected.nearest in ids for answer in answers if answer.rejected)
    assert len(ids) == len(kept(verdicts(rows, "0.65")))
