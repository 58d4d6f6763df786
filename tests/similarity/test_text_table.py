"""The nearest row by compiled loops, against comparing every row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the loops are compiled by Numba")

import numpy as np
from rapidfuzz.distance import LCSseq

from alpaca_pipe.similarity.nearest_others import nearest_others
from alpaca_pipe.similarity.rouge import Index
from alpaca_pipe.similarity.text_table import TextTable
from alpaca_pipe.similarity.token_arrays import numbered

Rows = list[list[int]]


def scores(rows: Sequence[Sequence[int]], text: Sequence[int]) -> list[Fraction]:
    return [Fraction(2 * LCSseq.similarity(row, text), len(row) + len(text) or 1) for row in rows]


def check(table: TextTable, rows: Rows, text: list[int], but: int = -1) -> None:
    every = scores(rows, text)
    most = max((score for row, score in enumerate(every) if row != but), default=Fraction(0))
    found = table.nearest(np.array(text, np.int32), but)
    if not most:
        assert found is None
        return
    assert found is not None
    row, common, total = found
    assert Fraction(2 * common, total) == most and total == len(rows[row]) + len(text)
    assert row == min(at for at, score in enumerate(every) if score == most and at != but)
    same = sorted(table.at(np.array(text, np.int32), most))
    assert same == sorted(
        (int(most * (len(row) + len(text)) / 2), len(row) + len(text))
        for row, score in zip(rows, every, strict=True)
        if score == most
    )


def table_of(rows: Rows) -> TextTable:
    return TextTable(
        np.array([word for row in rows for word in row], np.int32),
        np.cumsum([0, *map(len, rows)], dtype=np.int64),
    )


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=25),
    st.integers(0, 25),
    st.lists(st.integers(0, 11), max_size=12),
    st.integers(-1, 4),
)
def test_rows_filed_and_not(rows: Rows, filed: int, text: list[int], but: int) -> None:
    table = table_of(rows[:filed])
    for row in rows[filed:]:
        table.add(np.array(row, np.int32))
    assert len(table) == len(rows)
    check(table, rows, text, min(but, len(rows) - 1))


def test_rows_of_all_lengths_up_to_more_rarer_words_than_a_posting_counts() -> None:
    chance = random.Random(5)
    sizes = [1, 2, 5, 12, 63, 64, 65, 128, 129, 300, 700]
    rows = [
        [int(chance.paretovariate(0.6)) % 900 for _ in range(chance.choice(sizes))]
        for _ in range(400)
    ]
    table = table_of(rows[:300])
    for row in rows[300:]:
        table.add(np.array(row, np.int32))
    for number in range(0, 400, 7):
        check(table, rows, rows[number], number)
        changed = [word for word in rows[number] if chance.random() < 0.7]
        check(table, rows, changed + [chance.randrange(900)])
    for row in table.row(350), table.row(3):
        assert row.tolist() in rows


def test_a_table_that_is_filed_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_pipe.similarity.text_table._FEWEST", 1)
    monkeypatch.setattr("alpaca_pipe.similarity.text_table.isqrt", lambda rows: 5)
    chance, rows = random.Random(6), list[list[int]]()
    table = table_of([])
    for size in chance.choices(range(1, 9), k=90):
        text = [chance.randrange(len(rows) + 3) for _ in range(size)]
        check(table, rows, text)
        table.add(np.array(text, np.int32))
        rows.append(text)


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join), max_size=20))
def test_nearest_others_are_those_of_the_index(texts: list[str]) -> None:
    index = Index(Fraction(7, 10), "rouge")
    for number, text in enumerate(texts):
        index.add(str(number), text)
    nearest = [index.other(str(number), text) for number, text in enumerate(texts)]
    wanted = [near.score if near else Fraction(0) for near in nearest]
    assert nearest_others(texts, len(texts), "rouge") == wanted
    tokens, starts = numbered([text.split() for text in texts])
    assert len(tokens) == starts[-1] and len(starts) == len(texts) + 1
