"""style: self-instruct - a list of tasks, whether each is a classification, its instances, the original's filters."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.generate.parsing.instances import instances
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Unread
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.generate.styles.self_instruct import SelfInstruct
from tests.generate.scripted import ALL, SEEDS, Scripted, reply, rules, run

STYLE = SelfInstruct(800, 0.7, ALL)
MACHINE = tuple(
    Example.of(f"Tell me something about the {word}.", "", "x", Origin("generated"))
    for word in ("sea", "sun")
)
SEAT = Seat(0, 0, SEEDS[:6], (), machine=MACHINE, draw=11)
DRAFT = Draft("Say whether the guest was pleased.")
CLASSIFIED, OTHER = (replace(DRAFT, details={"classification": answer}) for answer in (True, False))


def short(pieces: list[Piece]) -> list[str]:
    return [
        f"! {piece.rule}" if isinstance(piece, Unread) else piece.instruction for piece in pieces
    ]


def pairs(pieces: list[Piece]) -> list[tuple[str, str] | str]:
    return [
        piece.rule if isinstance(piece, Unread) else (piece.input, piece.output or "")
        for piece in pieces
    ]


def test_eight_are_shown_two_of_them_by_the_machine_and_the_ninth_is_open() -> None:
    request = STYLE.request_for(SEAT)
    lines = request.messages[0].content.split("\n")
    shown = [line.partition(". ")[2] for line in lines if line[:1].isdigit()]
    assert len(request.messages) == 1 and lines[-1] == "9."
    expected = [row.instruction for row in (*(seed.example for seed in SEAT.shown), *MACHINE)]
    assert sorted(shown[:8]) == sorted(text.rstrip(":") for text in expected)
    assert shown[:8] != expected  # the machine's are not always the last
    assert request.decoding == {
        "max_tokens": 800,
        "temperature": 0.7,
        "top_p": 0.5,
        "presence_penalty": 2.0,
        "stop": ["\n16."],
    }


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            " Name a lake now.\n10. Name a hill now.\n11. Is it so or not?",
            ["Name a lake now.", "Name a hill now.", "Is it so or not?"],
        ),
        ("9. Name a lake.\n10. Name a hill.", ["Name a lake.", "Name a hill."]),
        (
            "Here are more tasks:\n\n9. Name a lake.\n\n10. Name a hill.",
            ["! no_task", "Name a lake.", "Name a hill."],
        ),
        ("1. Name a lake.\n2. Name a hill.", ["Name a lake.", "Name a hill."]),
        ("Sure!\n1) Name a lake.\n2) Name a hill.", ["! no_task", "Name a lake.", "Name a hill."]),
        ("**9.** Name a lake.\n**10.** Name a hill.", ["Name a lake.", "Name a hill."]),
        (" Name a lake.\nInput: Africa\n10. Name a hill.", ["! several_lines", "Name a hill."]),
        (" Name a lake.\n10. \n11. Name a hill.", ["Name a lake.", "! empty_task", "Name a hill."]),
        (" In 2016. a law was made; say which.", ["In 2016. a law was made; say which."]),
        (" Name a lake.\n16. Name a hill.", ["Name a lake."]),
        ("\n16. Name a hill.", ["! empty_task"]),
        (
            "".join(f"{n}. Name a lake.\n" for n in range(1, 12)),
            ["Name a lake."] * 7 + ["! too_many"] * 4,
        ),
        ("", ["! empty_reply"]),
    ],
)
def test_every_way_of_going_on_with_the_list(text: str, expected: list[str]) -> None:
    assert short(STYLE.parse(SEAT, reply(text))) == expected


def test_what_was_cut_loses_its_last_task_only() -> None:
    assert short(STYLE.parse(SEAT, reply(" Name a lake.\n10. Name a hi", "length"))) == [
        "Name a lake.",
        "! cut_off",
    ]
    assert short(STYLE.parse(SEAT, reply(" Name a lake.\n16. Name", "length"))) == [
        "Name a lake."
    ]  # cut behind our stop


@pytest.mark.parametrize(
    "instruction, expected",
    [
        ("Name a lake in Africa.", ""),
        ("Name it.", "words"),
        ("Draw a lake in Africa.", "media"),
        ("Write a program that names a lake.", "write_a_program"),
        ("- Name a lake in Africa.", "punctuation_start"),
        ("Éire: name a lake there.", "ascii_start"),
        ("Describe a video of a lake.", ""),  # Stanford's words, not Self-Instruct's
    ],
)
def test_the_originals_rules_for_instructions(instruction: str, expected: str) -> None:
    found = STYLE.rejection(SEAT, Draft(instruction))
    assert (found.rule if found else "") == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        (" yes", True),
        ("No.", False),
        ("Yes, it has two labels", True),
        ("**no**", False),
        ("It is not: no", False),
        ("perhaps", None),
        ("I know nothing", None),
        ("Classification\nyes", None),
    ],
)
def test_whether_it_is_a_classification(text: str, expected: bool | None) -> None:
    (piece,) = STYLE.parse_follow_up(SEAT, DRAFT, reply(text))
    assert (None if isinstance(piece, Unread) else piece.details["classification"]) == expected


def test_the_steps_follow_each_other() -> None:
    kind = STYLE.follow_up(SEAT, DRAFT)
    assert kind and kind.messages[0].content.endswith(f"Task: {DRAFT.instruction}\nClassification:")
    for draft, head in ((CLASSIFIED, "Class label:"), (OTHER, "Example 1\nInput:")):
        asked = STYLE.follow_up(SEAT, draft)
        assert (
            asked
            and head in asked.messages[0].content
            and asked.messages[0].content.endswith(f"Task: {DRAFT.instruction}\n")
        )
        assert asked.decoding["temperature"] == 0 and asked.decoding["presence_penalty"] == 1.5
    assert STYLE.follow_up(SEAT, replace(OTHER, output="done")) is None


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "Example 1\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d",
            [("a", "b"), ("c", "d")],
        ),
        ("Input: a\nOutput: b\n\nInput: c\nOutput: d", [("a", "b"), ("c", "d")]),
        ("Output: It is so.\nAnd more.\n", [("", "It is so.\nAnd more.")]),
        ("Task: Say whether the guest was pleased.\nOutput: x y", [("", "x y")]),
        ("**Example 1**\n**Input:** a\n**Output:** b", [("a", "b")]),
        ("Example 1\nInput: <noinput>\nOutput: b", [("", "b")]),
        ("Example 1\nInput:\nline one\nline two\nOutput:\nb", [("line one\nline two", "b")]),
        ("Output: x\nTask: Another one.\nOutput: y", [("", "x")]),
        ("Output: The program prints\nOutput: 5", ["no_instance"]),
        ("It is so.", ["no_instance"]),
        ("Sure!\nOutput: x", ["no_instance"]),
        ("Input: a", ["no_instance"]),
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: c", ["unsure_end", "no_instance"]),
        ("Example 1\nInput: a\nOutput: see\nExample 2\nand there", ["unsure_end", "no_instance"]),
        (
            "".join(f"Example {n}\nInput: {n}\nOutput: b\n" for n in range(1, 9)),
            [(str(n), "b") for n in range(1, 6)],
        ),
    ],
)
def test_every_way_of_writing_instances(text: str, expected: list[object]) -> None:
    assert pairs(STYLE.parse_follow_up(SEAT, OTHER, reply(text))) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "Class label: pleased\nInput: Fine!\nClass label: not pleased\nInput: Bad!",
            [("Fine!", "pleased"), ("Bad!", "not pleased")],
        ),
        ("Class label: true", [("", "true")]),
        ("Label: a\nInput: b", [("b", "a")]),
        ("Input: Fine!\nClass label: pleased", ["no_instance", ("", "pleased")]),
        ("pleased", ["no_instance"]),
    ],
)
def test_labels_come_first_for_a_classification(text: str, expected: list[object]) -> None:
    assert pairs(STYLE.parse_follow_up(SEAT, CLASSIFIED, reply(text))) == expected


def test_a_cut_reply_loses_its_last_instance() -> None:
    text = "Example 1\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d an"
    assert pairs(STYLE.parse_follow_up(SEAT, OTHER, reply(text, "length"))) == [
        ("a", "b"),
        "cut_off",
    ]
    assert pairs(STYLE.parse_follow_up(SEAT, OTHER, reply("", "content_filter"))) == [
        "content_filter"
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c\nExample 3\nInput: d\nOutput: e",
            ["other_outputs"] * 2 + [""],
        ),
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: b", ["", "same_instance"]),
        ("Example 1\nInput: a\nOutput: a", ["output_is_input"]),
        ("Example 1\nInput: a\nOutput:", ["empty_output"]),
        ("Example 1\nInput: the list:\nOutput: b", ["open_end"]),
        ("Output: as follows:", ["open_end"]),
    ],
)
def test_the_originals_rules_for_instances(text: str, expected: list[str]) -> None:
    drafts = STYLE.parse_follow_up(SEAT, OTHER, reply(text))
    found = [STYLE.rejection(SEAT, piece) for piece in drafts if isinstance(piece, Draft)]
    assert [one.rule if one else "" for one in found] == expected


def test_a_run_shows_its_own_rows_from_the_second_round_on() -> None:
    made = run(Scripted(), "self-instruct", count=120, round_size=3)
    first, later = [
        [seat for seat in made.seats if (seat["round"] == 0) == begins] for begins in (True, False)
    ]
    assert all(len(seat["shown"]) == 8 and "machine" not in seat for seat in first)
    assert later and all(len(seat["shown"]) == 6 and len(seat["machine"]) == 2 for seat in later)
    kinds = Counter(row.origin.details["classification"] for row in made.examples)
    assert kinds.keys() == {True, False}
    assert all(
        row.output and row.output != row.input and "fault" not in row.origin.details
        for row in made.examples
    )
    assert rules(made)["other_outputs"] > 0
    assert (
        max(Counter(row.instruction for row in made.examples).values()) > 1
    )  # several instances of one instruction


def test_limits_hold_where_a_teacher_writes_more_tasks_than_it_was_asked_for() -> None:
    def chatty(request: Request) -> str:
        asked = request.messages[0].content
        return (
            "".join(
                f"{n}. Name the {n + len(asked)}th lake of the {n * 7} we saw.\n"
                for n in range(1, 60)
            )
            if asked.endswith(".")
            else Scripted().says(request)
        )

    script = Scripted(says=chatty)
    made = run(script, "self-instruct", count=10_000, max_requests=50, round_size=2)
    assert sum(script.sent.values()) == made.asked.requests <= 50


pieces_of = st.lists(
    st.tuples(*[st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)] * 2),
    min_size=1,
    max_size=5,
)


@given(pieces_of, st.booleans(), st.booleans(), st.data())
def test_only_instances_that_were_written(
    rows: list[tuple[str, str]], labels: bool, cut: bool, data: st.DataObject
) -> None:
    """Cut anywhere: each instance but the last whole one is as it was written, and the cut one is no row."""
    rows = [(f"in {a!r}", f"out {b!r}") for a, b in rows]  # one line each, no head of ours within
    text = "".join(
        f"Class label: {b}\nInput: {a}\n" if labels else f"Example {n}\nInput: {a}\nOutput: {b}\n"
        for n, (a, b) in enumerate(rows, 1)
    )
    end = data.draw(st.integers(0, len(text))) if cut else len(text)
    found = instances(DRAFT, text[:end], cut, labels, 5)
    drafts = [(piece.input, piece.output) for piece in found if isinstance(piece, Draft)]
    assert found
    assert drafts == (rows[: len(drafts)] if cut else rows)
    assert not cut or len(drafts) < len(rows) or end == len(text)
