"""Every number from outside passes one reader: no spelling of one raises anything but BadNumber, and none that is taken is
too large for arithmetic or for the ledger."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.outside_numbers import (
    LARGEST,
    MONTH,
    BadNumber,
    exact_json,
    exact_number,
    nanodollars_of,
    number_in,
    whole_number,
)
from alpaca_pipe.teachers.openai.error_mapping import retry_after
from alpaca_pipe.teachers.ratelimit.headers import Gauge, seconds, told
from tests.attack.examples import many

SPELLED = [
    "1e999999999999999999999",
    "-1e999999999999999999999",
    "1e-999999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 5000,
    "-" + "9" * 5000,
    "0." + "1" * 5000,
    "1e400",
    "true",
    "null",
    '"12"',
    "[1]",
    "{}",
    "-1",
    "1.5",
    str(LARGEST + 1),
]


@pytest.mark.parametrize("text", SPELLED)
def test_a_figure_that_is_no_count_is_refused_and_raises_nothing_else(text: str) -> None:
    with pytest.raises(BadNumber) as told_so:
        whole_number(exact_json(text))
    assert len(str(told_so.value)) < 60


@pytest.mark.parametrize("text", ["12", "12.0", "1.2e1", "1200e-2"])
def test_a_count_in_any_spelling_is_a_count(text: str) -> None:
    assert whole_number(exact_json(text)) == 12


def test_an_amount_keeps_every_digit_and_is_rounded_once() -> None:
    assert exact_number("0.10000000000000000000000001", most=1) == Decimal(
        "0.10000000000000000000000001"
    )
    assert nanodollars_of(exact_json("0.00000000250000000000001")) == 3
    assert nanodollars_of(exact_json("2.5e-9")) == 2  # half to even
    for bad in ("nan", "1e9999999999999999999999", "-1", "", "x", None, True, 1_000_001):
        with pytest.raises(BadNumber):
            nanodollars_of(bad)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@many
@given(anything, st.integers(0, 10**30))
def test_what_is_taken_is_whole_and_within_its_bound(value: Any, most: int) -> None:
    try:
        taken = whole_number(value, most=most)
    except BadNumber:
        return
    assert type(taken) is int and 0 <= taken <= most and taken == value


@many
@given(st.text(max_size=30) | st.floats().map(str) | st.integers().map(str))
def test_a_header_is_a_finite_figure_or_none(text: str) -> None:
    figure = number_in(text, most=1000)
    assert figure is None or (math.isfinite(figure) and 0 <= figure <= 1000)
    span = seconds(text)
    assert span is None or 0 <= span <= MONTH
    wait = retry_after({"retry-after": text, "date": text})
    assert wait is None or 0 <= wait <= MONTH


limits_told = st.dictionaries(
    st.sampled_from(
        [
            f"x-ratelimit-{field}-{what}"
            for field in ("limit", "remaining", "reset")
            for what in ("requests", "tokens", "tokens-minute", "requests-day")
        ]
    )
    | st.text("x-ratelimodknsquey_", max_size=30),
    st.sampled_from(["1e308", "-0", "9" * 400 + "h", "0001-01-01", "9999-12-31T23:59:59", "inf"])
    | st.text(max_size=12)
    | st.floats().map(str)
    | st.integers().map(str)
    | st.sampled_from(["6m0s", "120ms", "1", "60"]),
    max_size=8,
)


@many
@given(
    st.lists(
        st.tuples(limits_told, st.floats(0, 1e6), st.integers(0, 1 << 31)), min_size=1, max_size=4
    )
)
def test_no_headers_make_the_pace_raise(replies: list[tuple[dict[str, str], float, int]]) -> None:
    gauges: dict[str, Gauge] = {}
    now = 0.0
    for headers, later, charge in replies:
        now += later
        for name, _what, reading in told(headers):
            gauge = gauges.setdefault(name, Gauge(reading, now))
            gauge.heard(reading, charge, now, now)
            gauge.sent(charge, now)
            assert math.isfinite(gauge.wait(charge, now)) and math.isfinite(gauge.per_minute)


@many
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_json_of_any_bytes_is_read_or_a_value_error(data: bytes) -> None:
    try:
        exact_json(data)
    except (ValueError, RecursionError):
        return
    json.loads(data)
