"""Which way a difference points, and when it is too small to count: a table for each measure."""

from __future__ import annotations

import pytest

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.evaluate.least_difference import LOSS, SHARE, direction


@pytest.mark.parametrize(
    ("found", "loss", "share"),
    [
        (Interval(-0.4, -0.5, -0.3), "better", "worse"),
        (Interval(0.4, 0.3, 0.5), "worse", "better"),
        (Interval(-0.4, -0.9, 0.1), "unsure", "unsure"),
        (Interval(0.0, 0.0, 0.0), "no difference", "no difference"),
        (Interval(-0.001, -0.009, 0.008), "no difference", "no difference"),
        (Interval(-0.004, -0.006, -0.002), "no difference", "no difference"),
        (Interval(-0.004, -0.011, -0.001), "no difference", "no difference"),
        (Interval(-0.008, -0.014, -0.002), "better", "no difference"),
        (Interval(0.001, -0.02, 0.03), "unsure", "unsure"),
        (Interval(-0.2, -0.4, 0.0), "unsure", "unsure"),
    ],
)
def test_table(found: Interval, loss: str, share: str) -> None:
    assert direction(found, LOSS.least) == loss
    assert direction(found, SHARE.least, SHARE) == share


def test_each_is_said_in_its_own_unit() -> None:
    assert LOSS.said(0.01) == "0.01 nats a token" and SHARE.said(0.02) == "2 percentage points"
