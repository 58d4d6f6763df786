"""The verdict of align by simulation: rarely "better" or "worse" where there is nothing, and mostly "better" where its rows say so."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from alpaca_pipe.align.align_verdict import PROMPTS_TO_SHOW, verdict_of
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
        found[str(verdict_of(models, range(rows), controls)["verdict"])] += 1
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
    found = verdicts(PROMPTS_TO_SHOW, share, controls, 0.0, 300, seed=1)
    assert found["better"] / 300 >= 0.8 - 3 * math.sqrt(0.16 / 300)


def test_too_few_rows_say_how_many_would_do() -> None:
    """Known answer: 12 of 20 is nothing, and 15 of 20 is 2.1 % of a fair coin's throws."""

    def said(right: int) -> tuple[str, str]:
        found = verdict_of(
            {"aligned": Margins((1.0,) * right + (-1.0,) * (20 - right))}, range(20), ()
        )
        return found["verdict"], found["sentence"]

    assert said(12)[0] == "not shown"
    assert said(12)[1].startswith(
        "align: not shown (too few prompts to say: 210 show 60% going the right way 4 times in 5): 60%"
    )
    assert [said(right)[0] for right in (15, 14, 6, 5)] == [
        "better",
        "not shown",
        "not shown",
        "worse",
    ]


@pytest.mark.parametrize(("prompts", "each"), [(32, 2), (16, 4), (20, 6)])
def test_rows_of_one_prompt_are_one_vote(prompts: int, each: int) -> None:
    """They share the chosen answer, so their margins go up and down together. The same bounds as for rows that do not."""
    chance, found = Random(each), Counter[str]()
    of = [prompt for prompt in range(prompts) for _ in range(each)]
    for _ in range(600):
        shared = [chance.gauss() for _ in range(prompts)]
        own = Margins(tuple(shared[prompt] + chance.gauss() for prompt in of))
        found[str(verdict_of({"aligned": own}, of, ())["verdict"])] += 1
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / 600)
    assert found["better"] / 600 <= most and found["worse"] / 600 <= most


def test_a_margin_of_nothing_speaks_for_neither_side() -> None:
    """Known answers: all ties are a share of a half; 13 up, 1 down is 0.09 % of a fair coin's throws, whatever ties stand by."""

    def said(*margins: float) -> tuple[str, float]:
        models = {"aligned": Margins(margins), "sft": Margins((0.0,) * len(margins))}
        both = [verdict_of(models, range(len(margins)), controls) for controls in ((), ("sft",))]
        assert both[0]["verdict"] == both[1]["verdict"]
        return both[0]["verdict"], both[0]["accuracy"]["aligned"]["mean"]

    assert said(*[0.0] * 64) == ("not shown", 0.5)
    assert said(*[0.0] * 50, *[1.0] * 13, -1.0) == ("better", pytest.approx(38 / 64, abs=1e-3))
