"""Sound rows that look like what three detectors are after, made by the thousand: none is dropped; made wrong, each is."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Origin
from tests.curate.labels import DETECTORS

NUMBERS = st.lists(st.integers(-999, 9999), min_size=4, max_size=12, unique=True)
FRUIT = [
    "apple",
    "banana",
    "cherry",
    "date",
    "elderberry",
    "fig",
    "grape",
    "kiwi",
    "lemon",
    "mango",
    "orange",
    "papaya",
]
THINGS = st.sampled_from(["a poem", "an email", "the theory of tides", "a recipe", "two colours"])


def row(instruction: str, output: str, given: str = "") -> Example:
    return Example.of(instruction, given, output, Origin("imported", "made#1"))


def flagged(name: str, one: Example) -> bool:
    return bool(DETECTORS[name](one))


@given(NUMBERS, st.booleans(), st.sampled_from([", ", "\n", " "]))
def test_numbers_in_order(numbers: list[int], falling: bool, between: str) -> None:
    asked = "descending" if falling else "ascending"
    given = ", ".join(map(str, numbers))
    right = between.join(map(str, sorted(numbers, reverse=falling)))
    assert not flagged("wrong_order", row(f"Sort these numbers in {asked} order.", right, given))


@given(st.permutations(FRUIT), st.integers(4, 12))
def test_words_in_order(words: list[str], count: int) -> None:
    words = words[:count]
    asked = "Sort the words in alphabetical order."
    assert not flagged("wrong_order", row(asked, ", ".join(sorted(words)), ", ".join(words)))
    assume(words != sorted(words))
    assert flagged("wrong_order", row(asked, ", ".join(words), ", ".join(sorted(words))))


@given(THINGS, st.sampled_from(["refuse", "cannot", "unable", "sorry"]))
def test_a_refusal_that_is_the_answer(thing: str, word: str) -> None:
    told = f'The word "{word}" is used when somebody declines something, for example {thing}.'
    assert not flagged("refusal", row(f'What does the word "{word}" mean?', told))


@given(THINGS, st.sampled_from(["write", "summarize", "explain"]))
def test_a_refusal(thing: str, verb: str) -> None:
    refused = f"I'm sorry, but as an AI language model I cannot {verb} {thing}."
    assert flagged("refusal", row(f"{verb.capitalize()} {thing}.", refused))


@given(THINGS, st.sampled_from(["photo", "painting", "song", "map"]))
def test_media_that_are_spoken_of(thing: str, medium: str) -> None:
    asked = f"Write a sentence about a {medium} that shows {thing}."
    told = f"The {medium} shows {thing}, and nobody who sees it forgets it."
    assert not flagged("media_answer", row(asked, told))
    assert not flagged("media_request", row(asked, told))


@given(st.sampled_from(["https://example.com/rivers/a.png", "![a river](river.jpg)"]))
def test_an_answer_that_is_only_a_picture(picture: str) -> None:
    assert flagged("media_answer", row("Show me a picture of a river.", picture))
