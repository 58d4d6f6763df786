"""The verdict of align by simulation: rarely "better" or "worse" where there is nothing, and mostly "better" where its rows say so."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from alpaca_pipe.align.align_verdict import ROWS_TO_SHOW, verdict_of
from alpaca_pipe.align.held_out_margins import Margins

BOTH = ("sft", "shuffled")


def verdicts(
    rows: int, share: float, controls: tuple[str, ...], alike: float, trials: int, seed: int
) -> Counter[str]:
    """share: that a row goes the right way for the aligned model; for a control it is a half. alike: of rows on which all
    models answer as one."""
    chance, found = Random(seed), Counter[str]()

    def draw(likely: float, same: list[bool | None]) -> Margins:
        right = [chance.random() < likely if one is None else one for one in same]
        return Margins(tuple(1.0 if one else -1.0 for one in right))

    for _ in range(trials):
        same = [chance.random() < 0.5 if chance.random() < alike else None for _ in range(rows)]
        models = {"aligned": draw(share, same)} | {name: draw(0.5, same) for name in controls}
        found[str(verdict_of(models, controls)["verdict"])] += 1
    return found


@pytest.mark.parametrize("rows", [8, 24, 64, 200])
@pytest.mark.parametrize(
    ("controls", "alike"), [((), 0.0), (("sft",), 0.0), (BOTH, 0.0), (BOTH, 0.6)]
)
def test_better_and_worse_are_rarely_said_where_nothing_is(
    rows: int, controls: tuple[str, ...], alike: float
) -> None:
    """Each at most 2.5 %, and 3 standard errors of 600 trials."""
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / 600)
    found = verdicts(rows, 0.5, controls, alike, 600, seed=rows)
    assert found["better"] / 600 <= most and found["worse"] / 600 <= most


@pytest.mark.parametrize("share", [0.6, 0.7])
def test_the_rows_that_are_said_to_show_it_show_it(share: float) -> None:
    """At least 4 times in 5, less 3 standard errors of 300 trials. A share of 70 % against controls at a half, too."""
    controls = BOTH if share == 0.7 else ()
    found = verdicts(ROWS_TO_SHOW, share, controls, 0.0, 300, seed=1)
    assert found["better"] / 300 >= 0.8 - 3 * math.sqrt(0.16 / 300)


def test_too_few_rows_say_how_many_would_do() -> None:
    """Known answer: 12 of 20 is nothing, and 15 of 20 is 2.1 % of a fair coin's throws."""

    def said(right: int) -> tuple[str, str]:
        found = verdict_of({"aligned": Margins((1.0,) * right + (-1.0,) * (20 - right))}, ())
        return found["verdict"], found["sentence"]

    assert said(12)[0] == "not shown"
    assert said(12)[1].startswith(
        "align: not shown (too few rows to say: 210 show 60% going the right way 4 times in 5): 60%"
    )
    assert [said(right)[0] for right in (15, 14, 6, 5)] == [
        "better",
        "not shown",
        "not shown",
        "worse",
    ]
