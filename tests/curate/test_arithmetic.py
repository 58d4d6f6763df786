"""Expressions are computed exactly, and only what is plainly wrong is called so."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.detectors.arithmetic import slip, value_of


def row(instruction: str, output: str, input: str = "") -> Example:
    return Example.of(instruction, input, output, Origin("generated", "r1-0"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("7 − 2 x 3", 1),
        ("8 ÷ 4 · 2", 4),
        ("$1,200.50 + $0.50", 1201),
        ("50% * 8", 4),
        ("1/3 + 1/6", Fraction(1, 2)),
        ("2 ** 10", 1024),
        ("0.1 + 0.2", Fraction(3, 10)),
    ],
)
def test_value(text: str, value: Fraction | int) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1 + 2", "1 / 0", "2 ^ 9999999", "2 ^ 0.5", "x + 1", "1 2", "0 ^ -1", ")("]
)
def test_what_has_no_value(text: str) -> None:
    assert value_of(text) is None


numbers = st.integers(1, 200)
signs = st.sampled_from(["+", "-", "*", "/"])


@given(st.lists(st.tuples(signs, numbers), min_size=1, max_size=5), numbers, st.integers(-3, 3))
def test_a_right_answer_is_never_called_wrong(
    rest: list[tuple[str, int]], first: int, off: int
) -> None:
    text = f"{first}" + "".join(f" {sign} {number}" for sign, number in rest)
    value = eval(text.replace("/", "/ Fraction(1) /"), {"Fraction": Fraction})
    assert value_of(text) == value
    shown = str(value) if Fraction(value).denominator == 1 else f"{float(value):.3f}"
    assert slip(row(f"Calculate {text}.", shown)) is None
    assert slip(row(f"Calculate {text}.", f"{text} = {shown}")) is None
    if Fraction(value).denominator == 1 and off and value + off not in (value * 100, -value):
        assert slip(row(f"Calculate {text}.", str(value + off)))


@given(st.text(), st.text(), st.text())
def test_any_text_is_answered(instruction: str, input: str, output: str) -> None:
    slip(row(instruction, output, input))


@pytest.mark.parametrize(
    "output",
    [
        "It is about 30.",
        "The sum is thirty.",
        "7/2",
        "3 1/2",
        "Two times 5 x 3 = y",
        "x + 3 + 4 = 9",
        "5 = 2 + 2",
        "5 ft 3 in = 63 in",
        "log 10 + 2 = 3",
        "From 10-15 = many.",
        "3 x 4 = 12 million",
        "2x + 3 = 4",
        "1 + 2 = 3 + 4 = 7",
    ],
)
def test_what_is_left_alone(output: str) -> None:
    assert slip(row("Say something about numbers.", output)) is None
