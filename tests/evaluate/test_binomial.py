"""The chance of few yes among many rows, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.evaluate.binomial import at_most


@given(rows=st.integers(0, 120), yes=st.integers(0, 130), percent=st.integers(1, 99))
def test_it_is_the_sum_of_the_ways(rows: int, yes: int, percent: int) -> None:
    share = Fraction(percent, 100)
    exact = sum(
        comb(rows, n) * share**n * (1 - share) ** (rows - n) for n in range(min(yes, rows) + 1)
    )
    assert at_most(yes, rows, float(share)) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def test_a_coin() -> None:
    assert at_most(0, 6) == pytest.approx(1 / 64) and at_most(6, 6) == pytest.approx(1)
