"""What the rows so far lack: simple rules, asked for in proportion, the same whatever the order of the rows."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.generate.prompts.coverage import KINDS, Balance, first_word, kind_of


def row(instruction: str) -> Example:
    return Example.of(instruction, "", "x", Origin("generated"))


@pytest.mark.parametrize(
    "instruction, kind",
    [
        ("Write a Python function that adds two numbers.", "code"),
        ("Classify these animals as birds or fish.", "classification"),
        ("Decide whether the review is positive or negative.", "classification"),
        ("Extract all dates from the text.", "extraction"),
        ("Translate the sentence into French.", "rewriting"),
        ("How many apples are left?", "reasoning"),
        ("Calculate the area of the garden.", "reasoning"),
        ("Explain why the sky is blue.", "explanation"),
        ("Why do cats purr?", "explanation"),
        ("List three uses of salt.", "ideas"),
        ("Write a letter to a friend.", "writing"),
        ("Which river is the longest?", "question"),
        ("Перечисли реки.", ""),
    ],
)
def test_kinds(instruction: str, kind: str) -> None:
    assert kind_of(row(instruction)) == kind


def test_first_words() -> None:
    assert [first_word(text) for text in ("“Rewrite” it", "What's new?", "12. List", "...")] == [
        "rewrite",
        "what's",
        "list",
        "",
    ]


def test_it_depends_on_the_rows_and_on_nothing_else() -> None:
    rows = [
        row(f"{verb} the {thing}.")
        for verb in ("List", "List", "Explain", "Write")
        for thing in ("sea", "sun", "sky")
    ] * 4
    one, other = Balance(rows), Balance()
    for example in random.Random(1).sample(rows, len(rows)):
        other.add([example])
    assert [one.lacks(4, draw) for draw in range(50)] == [
        other.lacks(4, draw) for draw in range(50)
    ]
    assert one.worn() == other.worn() == ("list", "explain", "write")


def test_what_is_missing_is_asked_for_more_often() -> None:
    balance = Balance(
        [row("Write a poem.")] * 60 + [row("Explain it.")] * 20 + [row("List them.")] * 10
    )
    asked = Counter(kind for draw in range(500) for kind in balance.lacks(4, draw))
    assert set(asked) == set(KINDS)
    assert asked["writing"] < asked["ideas"] < asked["code"]
    assert asked["writing"] * 3 < asked["classification"]


def test_each_kind_once_before_one_comes_again() -> None:
    assert sorted(Balance().lacks(len(KINDS), 1)) == sorted(KINDS)
    assert max(Counter(Balance().lacks(20, 1)).values()) == 3


def test_few_rows_wear_no_word_out() -> None:
    assert Balance([row("Write it.")] * 19).worn() == ()
    assert Balance([row("Write it.")] * 20).worn() == ("write",)
