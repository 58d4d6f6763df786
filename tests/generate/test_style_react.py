"""style: react - rows that are conversations: steps that are learned, and observations, from the calculator itself, that are not."""

from __future__ import annotations

import re

import pytest

from alpaca_pipe.core.example import Example
from alpaca_pipe.generate.parsing.reply import Draft, Unread
from alpaca_pipe.generate.styles.react import React
from alpaca_pipe.react.tools import tools_named
from tests.generate.scripted import ALL, ROWS, Scripted, reply, rules, run, seat

STYLE = React(200, 0.0, ALL, tools_named(["calculator"]))


def test_a_row_of_two_steps() -> None:
    place = seat(ROWS[0])
    asked = STYLE.request_for(place)
    assert asked.messages[-1].content == f"Question: {ROWS[0].text}"
    assert asked.decoding["stop"] == ["\nObservation:"]
    said = "Thought: I calculate.\nAction: calculator[2,248,780 ** 2]"
    (first,) = STYLE.parse(place, reply(f"{said}\nObservation: 7\nAnswer: 7"))
    assert isinstance(first, Draft) and first.output is None
    again = STYLE.follow_up(place, first)
    assert again and [one.content for one in again.messages[2:]] == [
        said,
        "Observation: 5057011488400",
    ]
    (whole,) = STYLE.parse_follow_up(place, first, reply("Thought: So.\nAnswer: 5,057,011,488,400"))
    assert isinstance(whole, Draft) and whole.output == "5,057,011,488,400"
    assert STYLE.follow_up(place, whole) is None and STYLE.rejection(place, whole) is None


@pytest.mark.parametrize(
    ("text", "finish", "rule"),
    [
        ("Just words.", "stop", "not_in_form"),
        ("Thought: hm", "length", "cut_off"),
        ("", "stop", "empty_reply"),
    ],
)
def test_what_is_no_step_makes_no_row(text: str, finish: str, rule: str) -> None:
    (piece,) = STYLE.parse(seat(ROWS[0]), reply(text, finish))  # type: ignore[arg-type]
    assert isinstance(piece, Unread) and piece.rule == rule


def test_it_ends_after_six_steps() -> None:
    place, step = seat(ROWS[0]), reply("Action: calculator[1 + 1]")
    (piece,) = STYLE.parse(place, step)
    for _ in range(STYLE.follows):
        assert isinstance(piece, Draft) and STYLE.follow_up(place, piece)
        (piece,) = STYLE.parse_follow_up(place, piece, step)
    assert isinstance(piece, Unread) and piece.rule == "no_answer"


def test_the_rows_of_a_run_are_conversations_whose_observations_are_right() -> None:
    made = run(Scripted(), "react", ROWS, count=len(ROWS))
    assert made.examples and set(rules(made)) <= {"cut_off", "not_in_form"}
    assert len(made.examples) + len(made.rejected) == len(ROWS)
    several = 0
    for example in made.examples:
        turns = example.conversation()
        several += len(turns) > 2
        assert example.system and Example.from_row(example.to_row()) == example
        assert [one.role for one in turns] == ["user", "assistant"] * (len(turns) // 2)
        for step, found in zip(turns[1:-1:2], turns[2::2], strict=True):
            one, other = map(int, re.findall(r"\[(\d+) \* (\d+)\]", step.text)[0])
            assert found.text == f"Observation: {one * other}" and not found.is_learned
        assert turns[-1].text.endswith(f"Answer: {example.output.rpartition('Answer: ')[2]}")
    assert several
