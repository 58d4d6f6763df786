"""The judge that goes by rules: what it holds against an answer, the same in either order, and that it knows nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_requests import (
    grade_request,
    pair_request,
    read_choice,
    read_judged_grade,
)
from alpaca_pipe.teachers.scripted.scripted_judge import faults, judgement
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to

JUDGE = Judging.model_validate({"teacher": {"kind": "rehearsed", "model": "m", "price": "free"}})
ASKED = "Why does the moon have phases?"
GOOD = "The moon circles the Earth, and we see more or less of the side that the sun lights."
ROUND = "The moon is the moon is the moon is the moon is the moon is the moon."


def chosen(first: str, second: str) -> object:
    """What evaluate reads of the whole script's reply to what evaluate asks."""
    request = pair_request(JUDGE, [ASKED], [first], [second], frozenset({"response_format"}), None)
    return read_choice(Completion(answer_to(request.asked()), "stop", Usage(1, 1))).value


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (GOOD, ()),
        ("Canberra", ()),
        (" \n", ("it is empty", "it says nothing", "it helps nobody")),
        (f"{ASKED} {GOOD}", ("it says the question again",)),
        (ROUND, ("it goes round in circles",)),
        (GOOD[:-1] + " and then it", ("it ends in the middle",)),
        ("It is so:\n\n- light from the sun falls on one half,\n- we see a part of that", ("it ends in the middle",)),
        ("```python\nprint('a' * 20, 'and some more words for the length of it')\n```", ()),
    ],
)  # fmt: skip
def test_faults(answer: str, said: tuple[str, ...]) -> None:
    assert faults(ASKED, answer) == said


def test_the_one_with_fewer_faults_wins_wherever_it_stands() -> None:
    assert (chosen(GOOD, ROUND), chosen(ROUND, GOOD)) == ("A", "B")
    assert (chosen("", ROUND), chosen(ROUND, "")) == ("B", "A")
    assert chosen("It is the moon that shows phases to us.", "It is so, as all of us know.") == "A"
    assert chosen(GOOD, GOOD.replace("see", "notice")) == "tie"


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=60))
def test_neither_place_is_liked(first: str, second: str, asked: str) -> None:
    turned = {"A": "B", "B": "A", "tie": "tie"}
    said = [
        json.loads(judgement(json.dumps({"question": asked, "A": a, "B": b})) or "")["better"]
        for a, b in ((first, second), (second, first))
    ]
    assert said[0] == turned[said[1]]


def test_grades_are_read_too() -> None:
    def grade(answer: str) -> float:
        request = grade_request(JUDGE, [ASKED], [answer], frozenset(), None)
        return float(
            read_judged_grade(Completion(answer_to(request.asked()), "stop", Usage(1, 1))).value
        )

    assert grade(GOOD) > grade(ROUND) >= grade("") == 1


@pytest.mark.parametrize(
    "text", ["", "Write a task.", "{", "{}", "[1]", '{"question": 1}', "{" * 9000]
)
def test_whatever_is_no_judgement_is_left_to_the_script(text: str) -> None:
    assert judgement(text) is None
