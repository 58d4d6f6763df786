"""The bulk pass makes the decisions of the one-by-one pass, and finds the same neighbours."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "numba", reason="the bulk pass is compiled by Numba: pip install 'alpaca-pipe[scale]'"
)

from alpaca_pipe.similarity.incremental_index import IncrementalIndex
from alpaca_pipe.similarity.join import greedy, pairs
from alpaca_pipe.similarity.rouge import Index, rouge_l

RELEASED = Path(__file__).resolve().parents[3] / "shared" / "data" / "alpaca_data.json.gz"
LIKENESS = [Decimal("0.5"), Decimal("0.65"), Decimal("0.7"), Decimal(1), Decimal("0.01")]
few_words = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "the", "the"]), max_size=14).map(
    " ".join
)
many_words = st.lists(st.integers(0, 90).map(str), min_size=40, max_size=200).map(" ".join)


def one_by_one(texts: list[str], likeness: Decimal) -> list[tuple[int, Fraction] | None]:
    index, found = Index(likeness, "rouge"), []
    for place, text in enumerate(texts):
        near = index.blocked(text)
        found.append((int(near.id), near.score) if near else None)
        if near is None:
            index.add(str(place), text)
    return found


def at_once(texts: list[str], likeness: Decimal) -> list[tuple[int, Fraction] | None]:
    met = greedy(texts, likeness, "rouge")
    return [
        (int(near), Fraction(2 * int(common), int(total))) if near >= 0 else None
        for near, common, total in zip(met.nearest, met.common, met.total, strict=True)
    ]


@given(st.lists(few_words, max_size=60), st.sampled_from(LIKENESS))
def test_short_rows_full_of_repeats_and_ties(texts: list[str], likeness: Decimal) -> None:
    assert at_once(texts, likeness) == one_by_one(texts, likeness)


@settings(max_examples=30, deadline=None)
@given(st.lists(many_words, max_size=12), st.sampled_from(LIKENESS))
def test_rows_longer_than_a_machine_word(texts: list[str], likeness: Decimal) -> None:
    texts += [text[: len(text) * 3 // 4] for text in texts]
    assert at_once(texts, likeness) == one_by_one(texts, likeness)


@given(st.lists(few_words, max_size=30), st.sampled_from(LIKENESS))
def test_every_pair_is_found_once(texts: list[str], likeness: Decimal) -> None:
    found = {
        (int(later), int(earlier)): Fraction(2 * int(common), int(total))
        for later, earlier, common, total in pairs(texts, likeness, "rouge")
    }
    assert len(found) == len(pairs(texts, likeness, "rouge"))
    assert found == {
        (later, earlier): score
        for later in range(len(texts))
        for earlier in range(later)
        if (score := rouge_l(texts[later], texts[earlier], "rouge")) >= likeness
    }


def test_blocks_and_copies_change_nothing() -> None:
    """More rows than are taken at once, most of them copies of a few."""
    texts = [
        f"tell me about number {place % 700} and {place % 11} of {place % 13}"
        for place in range(9000)
    ]
    assert at_once(texts, Decimal("0.7")) == one_by_one(texts, Decimal("0.7"))


def test_a_pair_at_exactly_the_likeness_stays() -> None:
    texts = ["a b c d e f g h i j", "a b c d e f g x y z"]  # LCS 7 of 10 and 10
    assert at_once(texts, Decimal("0.7")) == [None, None]
    assert at_once(texts, Decimal("0.69")) == [None, (0, Fraction(7, 10))]


@pytest.mark.skipif(not RELEASED.exists(), reason="the released 52K is not beside this checkout")
def test_the_released_52k_at_four_likenesses() -> None:
    with gzip.open(RELEASED) as stream:
        texts = [row["instruction"] for row in json.load(stream)]
    assert len(pairs(texts, Decimal("0.7"), "rouge")) == 1461  # all at exactly 0.7
    assert (greedy(texts, Decimal("0.7"), "rouge").nearest >= 0).sum() == 0
    some = texts[:6000]
    for likeness in ("0.65", "0.6", "0.5"):
        assert at_once(some, Decimal(likeness)) == one_by_one(some, Decimal(likeness))


@pytest.mark.parametrize("words", [few_words, many_words])
@given(data=st.data(), likeness=st.sampled_from(LIKENESS))
def test_a_growing_index_answers_as_the_plain_one(
    words: st.SearchStrategy[str], data: st.DataObject, likeness: Decimal
) -> None:
    texts = data.draw(st.lists(words, max_size=25))
    plain, growing = Index(likeness, "rouge"), IncrementalIndex(likeness, "rouge")
    for place, text in enumerate(texts):
        near = plain.nearest(text)
        assert growing.nearest(text) == near
        if near:
            assert sorted(growing.at(text, near.score)) == sorted(plain.at(text, near.score))
        plain.add(str(place), text)
        growing.add(str(place), text)
        if data.draw(st.booleans()):
            growing.settle()
