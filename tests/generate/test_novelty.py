"""What a draft is dropped for; each rule has a text that triggers it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.data import stanford_rules
from alpaca_pipe.generate.novelty import Pool, unsound
from alpaca_pipe.generate.parsing.reply import Draft, Rejection
from alpaca_pipe.similarity.rouge import Neighbour

SEED = Example.of(
    "Name the longest river of the whole wide continent.", "", "The Nile", Origin("seed")
)


def pool() -> Pool:
    return Pool([SEED], Decimal("0.7"), "unicode")


@pytest.mark.parametrize(
    "draft, rule",
    [
        (Draft("?!", "", "x"), "no_words"),
        (Draft("", "", "x"), "no_words"),
        (Draft("Name a lake.", "", "x"), "min_words"),
        (Draft("word " * 151, "", "x"), "max_words"),
        (Draft("Name the deepest lake.", "", ""), "empty_output"),
        (Draft("Name the deepest lake.", "", "Name the deepest lake."), "output_is_instruction"),
        (Draft("Name the deepest lake.", "Baikal", "Baikal"), "output_is_input"),
        (Draft("Name the shortest river of the whole wide continent.", "", "x"), "likeness"),
    ],
)
def test_each_rule(draft: Draft, rule: str) -> None:
    verdict = unsound(draft) or pool().judge(draft, "0/0/0")
    assert isinstance(verdict, Rejection)
    assert verdict.rule == rule
    assert verdict.nearest == (SEED.id if rule == "likeness" else "")


def test_what_is_let_in_is_known_and_what_is_dropped_is_not() -> None:
    known = pool()
    dropped = Draft("Name the shortest river of the whole wide continent.", "", "x")
    assert isinstance(known.judge(dropped, "0/0/0"), Rejection)
    again = known.judge(dropped, "0/0/0")
    assert isinstance(again, Rejection) and again.nearest == SEED.id
    good = Draft("Say who wrote the first dictionary of Latin.", "", "Varro, perhaps")
    assert isinstance(known.judge(good, "0/0/1"), Neighbour)
    again = known.judge(good, "0/0/2")
    assert isinstance(again, Rejection)
    assert again.nearest == "0/0/1"


def test_four_words_are_enough_and_four_characters_of_an_unspaced_script() -> None:
    assert not isinstance(pool().judge(Draft("What is a tree?", "", "x"), "a"), Rejection)
    assert not isinstance(pool().judge(Draft("写一首诗", "", "x"), "b"), Rejection)
    assert not isinstance(pool().judge(Draft("Describe bees", "", None), "c"), Neighbour)


def test_most_words_are_counted_as_a_reader_would() -> None:
    """Of Chinese, 150 words are about 225 characters."""
    text = "".join(chr(0x4E00 + number) for number in range(320))
    assert unsound(Draft(text[:210], "", "x")) is None
    assert unsound(Draft(text[:240], "", "x")).rule == "max_words"  # type: ignore[union-attr]
    assert stanford_rules.words(text[:210]) is None
    assert "160 words" in (stanford_rules.words(text[:240]) or "")
