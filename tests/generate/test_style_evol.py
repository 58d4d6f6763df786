"""style: evol - what evolves becomes a row with a parent; what did not is eliminated by a rule that says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.generate.parsing.reply import Draft, Unread
from alpaca_pipe.generate.sources.context import generation_of, of_row
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.generate.styles.evol import EVOLUTIONS, Evol, evolution_of
from tests.generate.scripted import ALL, ROWS, Scripted, reply, rules, run, seat

STYLE = Evol(500, None, ALL, Decimal("0.7"), "unicode", 1)
PARENT = Example.of(
    "Name three lakes in Africa.", "", "Chad, Victoria, Malawi", Origin("imported", "x#1")
)
WITH_INPUT = Example.of("Sort the numbers.", "3, 1, 2", "1, 2, 3", Origin("imported", "x#2"))
SEAT = seat(of_row(PARENT))


def drawn(evolution: str, row: Example = PARENT) -> Seat:
    return next(
        one for draw in range(100) if evolution_of(one := seat(of_row(row), draw)) == evolution
    )


def rule(instruction: str, output: str | None = None, row: Example = PARENT) -> str:
    found = STYLE.rejection(seat(of_row(row)), Draft(instruction, output=output))
    return found.rule if found else ""


@pytest.mark.parametrize(
    "instruction, expected",
    [
        (
            "Name three lakes in Africa that hold more water than Lake Geneva, and say how each of them is fed.",
            "",
        ),
        ("Name three lakes in Africa.", "no_gain"),
        ("Name three lakes in Africa, please.", "no_gain"),
        ("Name four big lakes in Africa.", "no_gain"),
        (
            "Rewrite the given prompt so that it asks for lakes deeper than 500 metres somewhere.",
            "copies_prompt",
        ),
        (
            "#Rewritten Prompt#: Which lakes in Africa are deeper than five hundred metres at their deepest point?",
            "copies_prompt",
        ),
        (
            "</task> Which lakes in Africa are deeper than five hundred metres at their deepest point?",
            "copies_prompt",
        ),
        (
            "Which lakes, unlike those of the task above, lie wholly in Europe and are fed by glaciers?",
            "copies_prompt",
        ),
        (
            "Name lakes so that it must make sense to somebody who has never heard of any of them at all.",
            "copies_prompt",
        ),
        (
            "Which lakes in Africa are deeper than five hundred metres? Answer it in text alone.",
            "copies_prompt",
        ),
        ("Lakes?", "min_words"),
        ("??? !!!", "no_words"),
        ("lake " * 151, "max_words"),
    ],
)
def test_failed_evolutions_are_eliminated_by_rules(instruction: str, expected: str) -> None:
    assert rule(instruction) == expected


def test_at_exactly_the_likeness_there_is_a_gain() -> None:
    parent = replace(PARENT, instruction=" ".join("abcdefghij"))
    assert rule(" ".join("abcdefg") + " x y z", row=parent) == ""
    assert rule(" ".join("abcdefgh") + " x y", row=parent) == "no_gain"


def test_words_that_the_parent_has_too_are_no_copies() -> None:
    parent = replace(PARENT, instruction="Compare the original task with its answer in one word.")
    longer = "Compare the original task with each of its four answers, and say for every one of them what it leaves out and why."
    assert rule(longer, row=parent) == ""
    assert rule(longer) == "copies_prompt"


@pytest.mark.parametrize(
    "output, expected",
    [
        ("Lake Chad, Lake Victoria and Lake Malawi.", ""),
        ("42", ""),
        ("No", ""),
        ("Sorry.", "declines"),
        ("I'm sorry, but I cannot answer that.", "declines"),
        ("As an AI language model I have no opinion on lakes.", "declines"),
        ("I am unable to help with this.", "declines"),
        (
            "Dear Ms Vogel, we are sorry that the lake was closed on Sunday. Your tickets stay valid.",
            "",
        ),
        ("I am sorry, but I cannot. " + "Still, here is much about lakes. " * 20, ""),
        ("...", "says_nothing"),
        ("It is the of and.", "says_nothing"),
        ("", "empty_output"),
    ],
)
def test_answers_that_are_none_end_the_evolution(output: str, expected: str) -> None:
    evolved = "Name three lakes in Africa that hold more water than Lake Geneva, and say how each of them is fed."
    found = rule(evolved, output)
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Here is a harder version:\n\nName six lakes.",
        "Here's the new task:\nName six lakes.",
        "Of course:\n\nName six lakes.",
        "Certainly!\nName six lakes.",
        "Instruction: Name six lakes.",
        "task : name six lakes",
        "This task is about lakes, and harder.",
        "I'd be happy to make it harder. Name six lakes.",
    ],
)
def test_a_reply_about_the_task_is_not_the_task(text: str) -> None:
    (piece,) = STYLE.parse(SEAT, reply(text))
    assert isinstance(piece, Unread) and piece.rule == "talks_about_it"


def test_an_input_stays_unless_the_task_is_left_behind() -> None:
    for evolution in EVOLUTIONS:
        place = drawn(evolution, WITH_INPUT)
        asked = STYLE.request_for(place).messages[-1].content
        assert (
            EVOLUTIONS[evolution] in asked
            and f"<task>\n{WITH_INPUT.instruction}\n\n{WITH_INPUT.input}\n</task>" in asked
        )
        assert ("stays as it is" in asked) == (evolution != "broaden")
        (piece,) = STYLE.parse(place, reply("Sort them by how many divisors each has."))
        assert piece == Draft(
            "Sort them by how many divisors each has.",
            "" if evolution == "broaden" else WITH_INPUT.input,
            details={"evolution": evolution, "generation": 1},
        )
        assert isinstance(piece, Draft)
        following = STYLE.follow_up(place, piece)
        assert following and following.messages[-1].content == piece.instruction + (
            "" if evolution == "broaden" else "\n\n3, 1, 2"
        )


def test_rows_have_parents_and_all_ways_are_taken() -> None:
    made = run(Scripted(), "evol", ROWS, count=60, times=4)
    ids = {ground.source for ground in ROWS}
    assert {row.origin.parents[0] for row in made.examples} <= ids
    assert {row.origin.details["evolution"] for row in made.examples} == set(EVOLUTIONS)
    assert {generation_of(row) for row in made.examples} == {1}
    assert {rejected.nearest for rejected in made.rejected if rejected.rule == "no_gain"} <= ids


def test_generations_build_on_each_other_up_to_the_depth() -> None:
    made = run(Scripted(), "evol", ROWS[:6], count=1000, depth=3, times=1)
    rows = {row.id: row for row in made.examples}
    assert Counter(generation_of(row) for row in made.examples).keys() == {1, 2, 3}
    for row in made.examples:
        parent = row.origin.parents[0]
        assert generation_of(row) == (1 + generation_of(rows[parent]) if parent in rows else 1)
    assert made.exhausted().endswith("was used as often as generate.times allows")


def test_a_teacher_that_says_no_makes_no_rows() -> None:
    def sorry(request: Request) -> str:
        asked = request.messages[-1].content
        return (
            "I'm sorry, but I cannot help with that."
            if "<task>" not in asked
            else Scripted().says(request)
        )

    made = run(Scripted(says=sorry), "evol", ROWS, max_requests=40, times=2)
    assert not made.examples and rules(made)["declines"] > 0


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(0, 50))
def test_what_is_read_is_the_whole_reply_or_nothing(text: str, draw: int) -> None:
    place = seat(of_row(PARENT), draw)
    (piece,) = STYLE.parse(place, reply(text))
    assert isinstance(piece, Unread) or piece.instruction == text.strip() != ""
