"""Several answers to a prompt: they are compared within it, and the prompts are what an interval counts."""

from __future__ import annotations

import pytest

from alpaca_pipe.align.align_verdict import LEAST
from alpaca_pipe.align.measuring import HeldOutPrompts, _rose, _won
from alpaca_pipe.evaluate.bootstrap import of_mean
from alpaca_pipe.evaluate.proportions import wilson


def test_rules_compare_answers_of_one_prompt() -> None:
    prompts = HeldOutPrompts(((1,), (2,)), ("Q?", "R?"), each=2)
    assert prompts.of_answers == [(1,), (1,), (2,), (2,)]
    assert prompts.by_prompt([1, 2, 3, 4]) == [[1, 2], [3, 4]]
    found = _won([1.0, 1.0, 0.5, 0.5], [0.5, 1.0, 0.5, 0.5], prompts)
    assert (found["aligned"], found["before"]) == (0.75, 0.625)
    assert found["won"]["mean"] == 0.625  # 3 of 4 to the first prompt, 2 of 4 to the second
    assert found["won"] == wilson(1.25, 2).rounded()  # of two prompts, not of eight comparisons
    assert _won([1.0], [0.5], HeldOutPrompts(((1,),), ("Q?",)))["won"]["mean"] == 1.0


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    found = of_mean(values)
    assert found.mean == 4.0
    half = 2.306004 * 2.738613 / 3  # t of 8 degrees, the deviation of the nine, their root
    assert (found.lo, found.hi) == pytest.approx((4 - half, 4 + half), abs=2e-3)
    assert of_mean([0.7]) == (0.7, 0.0, 0.7)  # of one value nothing is sure


def test_two_prompts_show_nothing() -> None:
    found = {"reward": {"difference": {"lo": 1.0, "hi": 1.0}}}
    assert _rose({**found, "prompts": LEAST - 1}) == "not shown"
    assert _rose({**found, "prompts": LEAST}) == "better"
