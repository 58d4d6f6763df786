"""ROUGE-L is exact: against rouge_score, against brute force, and at the ties."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from alpaca_pipe.similarity.rouge import Index, Neighbour, rouge_l
from alpaca_pipe.similarity.words import rouge_words, stemmed_words, unicode_words

few_words = st.lists(st.sampled_from(["a", "b", "c", "the", "sum"]), max_size=9).map(" ".join)
any_text = st.text(st.characters(codec="utf-8"), max_size=40)
ORACLE = RougeScorer(["rougeL"])
STEMMED = RougeScorer(["rougeL"], use_stemmer=True)


@given(st.one_of(few_words, any_text), st.one_of(few_words, any_text))
def test_f_is_rouge_scores(one: str, other: str) -> None:
    assert float(rouge_l(one, other, "rouge")) == pytest.approx(
        ORACLE.score(one, other)["rougeL"].fmeasure, abs=1e-12
    )


@given(st.text("abdeginorsty '.XY9\u00e9", max_size=60), st.text("abdeginorsty ", max_size=60))
def test_f_is_rouge_scores_with_its_stemmer(one: str, other: str) -> None:
    assert float(rouge_l(one, other, "rouge-stem")) == pytest.approx(
        STEMMED.score(one, other)["rougeL"].fmeasure, abs=1e-12
    )


def test_stems_of_words() -> None:
    found = stemmed_words("Advances, advancements: the contents of flies")
    assert found == ["advanc", "advanc", "the", "content", "of", "fli"]


def brute(texts: Sequence[str], text: str) -> Neighbour | None:
    """The first of the nearest texts."""
    best = None
    for number, known in enumerate(texts):
        score = rouge_l(known, text, "rouge")
        if score and (best is None or score > best.score):
            best = Neighbour(str(number), score)
    return best


@given(
    st.lists(few_words, max_size=25),
    few_words,
    st.sampled_from(["1", "0.9", "0.7", "0.5", "0.65", "0.2"]),
)
def test_nearest_and_blocked_are_those_of_brute_force(
    texts: list[str], text: str, likeness: str
) -> None:
    index = Index(Decimal(likeness), "rouge")
    for number, known in enumerate(texts):
        index.add(str(number), known)
    nearest = brute(texts, text)
    assert index.nearest(text) == nearest
    assert index.blocked(text) == (
        nearest if nearest and nearest.score > Fraction(likeness) else None
    )


@pytest.mark.parametrize(
    "first, second, common", [(9, 11, 7), (10, 10, 7), (20, 20, 14), (7, 13, 7), (27, 33, 21)]
)
def test_a_tie_is_no_duplicate_and_one_word_more_is(first: int, second: int, common: int) -> None:
    shared = [f"w{n}" for n in range(common)]
    one = shared + [f"x{n}" for n in range(first - common)]
    other = shared + [f"y{n}" for n in range(second - common)]
    index = Index(Decimal("0.7"), "rouge")
    index.add("known", " ".join(one))
    assert index.nearest(" ".join(other)) == Neighbour("known", Fraction(7, 10))
    assert index.blocked(" ".join(other)) is None
    just_above = Index(Decimal("0.6999"), "rouge")
    just_above.add("known", " ".join(one))
    assert just_above.blocked(" ".join(other)) == Neighbour("known", Fraction(7, 10))


def test_words_of_any_script() -> None:
    assert rouge_words("Don't  split É-mail_1!") == ["don", "t", "split", "mail", "1"]
    assert unicode_words("Don't split É-mail_1!") == ["don", "t", "split", "é", "mail", "1"]
    assert unicode_words("हिन्दी में लिखो") == ["हिन्दी", "में", "लिखो"]
    assert unicode_words("写一首诗 about Rust。") == ["写", "一", "首", "诗", "about", "rust"]
    assert unicode_words("กินข้าว") == ["กิ", "น", "ข้", "า", "ว"]
    assert unicode_words("e\u0301te\u0301") == unicode_words("été") == ["été"]


def test_a_text_without_words_is_near_nothing() -> None:
    index = Index(Decimal("0.7"), "rouge")
    index.add("marks", "?!")
    index.add("words", "name the capital of Peru")
    assert index.nearest("?!") is None
    assert index.nearest("name the capital of Chad") == Neighbour("words", Fraction(4, 5))


def test_the_released_rows_are_novel_to_each_other(data: Path) -> None:
    """Known answer (ALPACA.md): among the released rows no pair is above 0.7; 2,000 of them here."""
    with gzip.open(data / "alpaca_data.json.gz", "rt", encoding="utf-8") as stream:
        rows = json.load(stream)
    index = Index(Decimal("0.7"), "rouge")
    for number, row in enumerate(islice(rows, 2000)):
        assert index.blocked(row["instruction"]) is None
        index.add(str(number), row["instruction"])
    changed = rows[1000]["instruction"] + " now"
    assert index.blocked(changed) == Neighbour(
        "1000", rouge_l(rows[1000]["instruction"], changed, "rouge")
    )


def test_the_nearest_other_text() -> None:
    index = Index(Decimal("0.7"), "unicode")
    texts = {
        "a": "name a river in france",
        "b": "name a river in spain",
        "c": "boil an egg",
        "d": "name a river in france",
    }
    for name, text in texts.items():
        index.add(name, text)
    found = {name: index.other(name, text) for name, text in texts.items()}
    assert (
        found["a"] == Neighbour("d", Fraction(1))
        and found["d"] == Neighbour("a", Fraction(1))
        and found["c"] is None
    )
    assert found["b"] == Neighbour("a", Fraction(4, 5))
