"""Instances of a task as models write them: named inputs, and class labels with what they label below."""

from __future__ import annotations

import pytest

from alpaca_pipe.generate.parsing.instances import instances
from alpaca_pipe.generate.parsing.reply import Draft

TASK = Draft("Say how ripe the fruit is.", "", None)


def read(text: str, labels: bool) -> list[tuple[str, str | None] | str]:
    found = instances(TASK, text, False, labels, 9)
    return [(one.input, one.output) if isinstance(one, Draft) else one.rule for one in found]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Class label: Ripe\nFruit: a soft yellow pear\nClass label: Unripe\nFruit: a hard green pear",
            [("Fruit: a soft yellow pear", "Ripe"), ("Fruit: a hard green pear", "Unripe")],
        ),
        (
            "Class label: Same\nSentence 1: A tram.\nSentence 2: One tram.",
            [("Sentence 1: A tram.\nSentence 2: One tram.", "Same")],
        ),
        ("Class label: Ripe\nInput: a soft pear", [("a soft pear", "Ripe")]),
        ("**Class label:** Ripe\nFruit: a pear", [("Fruit: a pear", "Ripe")]),
        ("Class label:\nRipe\nFruit: a pear", [("Fruit: a pear", "Ripe")]),
        ("1. Class label: Ripe\nFruit: a\n2. Class label: Raw\nFruit: b", [("Fruit: a", "Ripe"), ("Fruit: b", "Raw")]),
        ("Class label：Ripe\nFruit：a pear", [("Fruit：a pear", "Ripe")]),
        ("Class label: Ripe\nClass label: Unripe", [("", "Ripe"), ("", "Unripe")]),
    ],
)  # fmt: skip
def test_a_label_is_the_rest_of_its_line(text: str, wanted: list[tuple[str, str]]) -> None:
    assert read(text, True) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Example 1\nList: [1, 2, 3]\nOutput: 6", [("List: [1, 2, 3]", "6")]),
        ("Example 1\nList: [1]\nOutput: 1\nExample 2\nList: [4]\nOutput: 4", [("List: [1]", "1"), ("List: [4]", "4")]),
        ("List: [1]\nOutput: 1\nList: [4]\nOutput: 4", [("List: [1]", "1"), ("List: [4]", "4")]),
        ("Example 1\nPaper A: x\nPaper B: z\nOutput: same", [("Paper A: x\nPaper B: z", "same")]),
        ("Example 1\nText: one\ntwo\nOutput: x\ny", [("Text: one\ntwo", "x\ny")]),
        ("1. Input: a\n1. Output: b\n2. Input: c\n2. Output: d", [("a", "b"), ("c", "d")]),
    ],
)  # fmt: skip
def test_what_stands_before_the_output_is_the_input(
    text: str, wanted: list[tuple[str, str]]
) -> None:
    assert read(text, False) == wanted
