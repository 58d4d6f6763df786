"""Rows as conversations and as preferences: what is held, what comes back from disk, whose id is whose."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Message, Origin, example_id
from alpaca_pipe.core.preference import Preference

SEED = Origin("seed")
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["user", "assistant", "tool", "system"]),
        TEXTS,
        st.booleans(),
        st.sampled_from(["", "so"]),
        st.sampled_from([(), (CALL,)]),
        st.sampled_from(["", "add"]),
    ),
    max_size=6,
)


def held(messages: list[Message], system: str = "") -> Example | None:
    try:
        return Example.of_messages(messages, SEED, system)
    except ValueError:
        return None


@given(MESSAGES, TEXTS)
def test_a_conversation_comes_back_from_its_row(messages: list[Message], system: str) -> None:
    example = held(messages, system)
    if example is None:
        return
    row = json.loads(json.dumps(example.to_row()))
    assert Example.from_row(row) == example
    assert any(one.is_learned for one in example.conversation())
    again = Example.of_messages(example.conversation(), SEED, example.system)
    assert again == example


@given(MESSAGES, MESSAGES)
def test_ids_differ_where_what_is_said_differs(one: list[Message], other: list[Message]) -> None:
    first, second = held(one), held(other)
    if first and second:
        same = (first.conversation(), first.system) == (second.conversation(), second.system)
        assert (first.id == second.id) == same


def test_one_plain_exchange_is_the_simple_case() -> None:
    turns = [Message("user", "2+2?", learned=False), Message("assistant", "4")]
    assert Example.of_messages(turns, SEED, "Be brief.") == Example.of(
        "2+2?", "", "4", SEED, "Be brief."
    )
    assert Example.of_messages([Message("system", "Be brief."), *turns], SEED).system == "Be brief."


def test_ids_of_single_exchanges_are_what_they_were() -> None:
    assert Example.of("Name a colour.", "", "Blue.", SEED).id == example_id(
        "Name a colour.", "", "Blue.", ""
    )
    assert example_id("Name a colour.", "", "Blue.", "") == "e1-5798c8eb76b41c3596b1"


@pytest.mark.parametrize(
    "change",
    [
        {"learned": False},
        {"reasoning": "I recall."},
        {"tool_calls": (CALL,)},
        {"name": "Ann"},
        {"text": "Read."},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_message_is_in_the_id(change: dict[str, Any]) -> None:
    turns = [
        Message("user", "A colour?"),
        Message("assistant", "Red."),
        Message("user", "Another?"),
        Message("assistant", "Blue."),
    ]
    before = Example.of_messages(turns, SEED)
    after = Example.of_messages([turns[0], replace(turns[1], **change), *turns[2:]], SEED)
    assert before.id != after.id
    assert Example.of_messages(turns, SEED, "Be brief.").id != before.id


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([], "no message is a user's"),
        ([Message("user", "Hi")], "no answer in it is to be learned"),
        ([Message("user", "Hi"), Message("assistant", "Yo", learned=False)], "to be learned"),
        ([Message("assistant", "Yo"), Message("user", "Hi")], "no user spoke before it"),
        (
            [Message("tool", "4"), Message("user", "Hi"), Message("assistant", "Yo")],
            "tool's result",
        ),
    ],
)
def test_roles_that_cannot_be(turns: list[Message], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Example.of_messages(turns, SEED)


def test_a_greeting_that_is_not_learned_may_come_first() -> None:
    turns = [
        Message("assistant", "How can I help?", learned=False),
        Message("user", "2+2?"),
        Message("assistant", "4"),
    ]
    example = Example.of_messages(turns, SEED)
    assert (example.instruction, example.output, len(example.messages)) == ("2+2?", "4", 3)


USER = Message("user", "2+2?")


def answer(text: str) -> list[Message]:
    return [Message("assistant", text)]


def test_a_pair_is_tuned_on_the_chosen_answer() -> None:
    pair = Preference.pair([USER], answer("4"), answer("5"), SEED, "Be brief.", input="in base ten")
    assert pair.example() == Example.of("2+2?", "in base ten", "4", SEED, "Be brief.")
    assert Preference.from_row(json.loads(json.dumps(pair.to_row()))) == pair


def test_a_label_says_whether_there_is_anything_to_learn() -> None:
    good = Preference.labelled([USER], answer("4"), True, SEED)
    bad = Preference.labelled([USER], answer("5"), False, SEED)
    assert good.example() == Example.of("2+2?", "", "4", SEED)
    assert bad.example() is None
    assert good.id != Preference.labelled([USER], answer("4"), False, SEED).id
    assert Preference.from_row(json.loads(json.dumps(bad.to_row()))) == bad


@pytest.mark.parametrize("learned", [True, False])
def test_answers_inside_the_prompt_are_learned_as_they_are_marked(learned: bool) -> None:
    prompt = [USER, Message("assistant", "4", learned), Message("user", "And 3+3?")]
    example = Preference.pair(prompt, answer("6"), answer("7"), SEED).example()
    assert example is not None
    assert [one.is_learned for one in example.messages] == [False, learned, False, True]


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "said"),
    [
        ([USER], answer("4"), answer("4"), "are the same"),
        ([USER], [], answer("4"), "the chosen side holds no answer"),
        ([USER], answer("4"), answer(""), "the rejected side holds no answer"),
        (answer("4"), answer("4"), answer("5"), "no message of the prompt is a user's"),
        ([USER, *answer("4")], answer("4"), answer("5"), "ends with an answer"),
    ],
)
def test_pairs_that_cannot_be(
    prompt: list[Message], chosen: list[Message], rejected: list[Message], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Preference.pair(prompt, chosen, rejected, SEED)
