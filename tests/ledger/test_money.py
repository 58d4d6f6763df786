"""Money: exact, whole nano-dollars, rounded once and half to even; only display rounds further."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.ledger.money import NANO, cost_of_tokens, nanodollars, shown

prices = st.decimals(0, 1000, places=6)
tokens = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("count", "price", "cost"),
    [
        (25_000_000, "20", 500 * NANO),  # text-davinci-003: $500 buys 25M tokens
        (1, "0.15", 150),
        (1, "0.0005", 0),
        (3, "0.0005", 2),
        (5, "0.0005", 2),
        (7, "0.0005", 4),  # .5, 1.5, 2.5, 3.5: half to even
        (10**12, "0.000001", 1_000_000_000),
    ],
)
def test_a_class_is_rounded_once_half_to_even(count: int, price: str, cost: int) -> None:
    assert cost_of_tokens(count, Decimal(price)) == cost


def test_alpaca_paid_for_481_tokens_a_kept_row() -> None:
    bought = 500 * NANO // cost_of_tokens(1, Decimal(20))
    assert bought == 25_000_000
    assert round(bought / 52_002) == 481


@given(tokens, prices)
def test_a_cost_is_the_nearest_whole_nanodollar(count: int, price: Decimal) -> None:
    cost = cost_of_tokens(count, price)
    assert isinstance(cost, int)
    assert abs(cost - Fraction(price) * count * 1000) <= Fraction(1, 2)


def test_a_float_sum_would_have_drifted() -> None:
    assert (
        sum(cost_of_tokens(1, Decimal("0.1")) for _ in range(10))
        == nanodollars(Decimal("0.000001"))
        == 1000
    )
    assert sum([0.1] * 10) != 1.0


def test_a_cap_is_never_raised_by_rounding() -> None:
    assert nanodollars(Decimal("0.0000000019")) == 1
    assert nanodollars(Decimal(5)) == 5 * NANO


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.0000"),
        (1, "<$0.0001"),
        (99_999, "<$0.0001"),
        (12_300_000, "$0.0123"),
        (999_949_999, "$0.9999"),
        (999_960_000, "$1.00"),
        (12_340_000_000, "$12.34"),
        (1_234_567_890_000, "$1,234.57"),
        (-12_340_000_000, "-$12.34"),
    ],
)
def test_display(amount: int, text: str) -> None:
    assert shown(amount) == text
