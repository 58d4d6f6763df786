"""Replies from hell: never an exception, never a silently mangled row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Finish, Usage
from alpaca_pipe.generate.parsing.reply import (
    Draft,
    Piece,
    Unread,
    read_answer,
    read_line,
    read_tasks,
)

A = {"instruction": "Name the largest lake of Africa.", "input": "", "output": "Lake Victoria"}
B = {"instruction": "Translate the word into Latin.", "input": "water", "output": "aqua"}
AB = [Draft(A["instruction"], "", A["output"]), Draft(B["instruction"], "water", "aqua")]
WHOLE = json.dumps({"tasks": [A, B]}, indent=1)


def reply(text: str, finish: Finish = "stop") -> Completion:
    return Completion(text, finish, Usage(), "r1-0")


def read(text: str, finish: Finish = "stop") -> list[Piece]:
    return read_tasks(reply(text, finish))


def rules(pieces: list[Piece]) -> list[str]:
    return [piece.rule if isinstance(piece, Unread) else "" for piece in pieces]


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"```json\n{WHOLE}\n```",
        f"Sure! Here's the \"JSON\" you wanted:\n\n{WHOLE}\n\nDon't hesitate to ask {{for}} more.",
        json.dumps([A, B]),
        json.dumps(A) + "\n" + json.dumps(B),
        f"1. {json.dumps(A)}\n2. {json.dumps(B)}",
        json.dumps({"tasks": [A, B]})[:-2] + ",]}",
        json.dumps({"tasks": [A, B]})[:-2],
        json.dumps({"tasks": [A | {"id": 1}, B | {"id": 2}]}),
    ],
    ids=[
        "plain",
        "fence",
        "prose",
        "list",
        "objects",
        "numbered",
        "trailing comma",
        "open end",
        "more keys",
    ],
)
def test_every_way_of_writing_two_tasks(text: str) -> None:
    drafts = [piece for piece in read(text) if isinstance(piece, Draft)]
    assert drafts == AB


def test_a_cut_reply_keeps_the_whole_tasks_and_names_the_rest() -> None:
    for length in range(WHOLE.index("aqua") + 5, WHOLE.index("Translate"), -1):
        pieces = read(WHOLE[:length], "length")
        assert pieces[0] == AB[0]
        assert rules(pieces) == ["", "cut_off"]


def test_json_inside_an_answer_is_no_task() -> None:
    inner = A | {"output": json.dumps(B)}
    assert read(json.dumps(inner)) == [Draft(A["instruction"], "", json.dumps(B))]
    cut = json.dumps({"tasks": [inner]})[:-8]
    assert rules(read(cut, "length")) == ["cut_off"]
    assert rules(
        read(json.dumps({"tasks": [A | {"output": {"code": {"instruction": "x", "output": "y"}}}]}))
    ) == ["not_text"]


@pytest.mark.parametrize(
    "text, rule",
    [
        ("", "empty_reply"),
        ("  \n", "empty_reply"),
        ("I cannot do that.", "not_json"),
        ("{}", "no_instruction"),
        ('{"tasks": []}', "no_instruction"),
        ('{"tasks": ["Name a lake."]}', "no_instruction"),
        ('{"instruction": "Name a lake."}', "no_output"),
        ('{"instruction": null, "output": "x"}', "no_instruction"),
        ('{"instruction": "Name lakes.", "output": ["a", "b"]}', "not_text"),
        ('{"instruction": "Is it so?", "output": true}', "not_text"),
        ('{"instruction": "a", "output": "b", "instruction": "c", "output": "d"}', "merged"),
        ('{"instruction": "a", "output": "b" "input": ""}', "not_json"),
        ("{'instruction': 'a', 'output': 'b'}", "not_json"),
        ('{"instruction": "a", "output": "\\ud800"}', "not_unicode"),
        ('{"instruction": "a", "output": "b', "not_json"),
    ],
)
def test_what_cannot_be_read_keeps_its_reason(text: str, rule: str) -> None:
    assert rules(read(text)) == [rule]


def test_a_provider_that_declines_is_a_piece_not_a_hole() -> None:
    assert rules(read("", "content_filter")) == ["content_filter"]
    assert rules(read(WHOLE, "refused")) == ["refused"]


def test_texts_stay_as_they_were_written() -> None:
    odd = {
        "instruction": "Show \u2028 and \u0085 and 🦙.",
        "input": "a\tb\r\nc",
        "output": '```python\nprint("{}")\n```',
    }
    assert read(json.dumps(odd, ensure_ascii=False)) == [
        Draft(odd["instruction"], odd["input"], odd["output"])
    ]
    assert read('{"instruction": "What is 9 / 2?", "output": 4.50}') == [
        Draft("What is 9 / 2?", "", "4.50")
    ]
    assert read('{"instruction": "Two lines, raw.", "output": "a\nb"}') == [
        Draft("Two lines, raw.", "", "a\nb")
    ]


def test_big_and_deep_replies_end_soon() -> None:
    assert rules(read("{" * 1_000_000)) == ["not_json"]
    assert rules(read('{"a":' * 200_000)) == ["not_json"]
    assert rules(read("[" * 200_000 + json.dumps(A))) == [""]
    assert rules(read('{"a": [' * 100_000 + '"' * 100_001)) == ["not_json"]
    assert len(read(json.dumps({"tasks": [A] * 10_000}))) == 10_000


# without the first characters of a template's marks, which are cut from what is no whole JSON
strings = st.text(st.characters(codec="utf-8", exclude_characters="<[◁"), max_size=30)
tasks = st.fixed_dictionaries({"instruction": strings, "input": strings, "output": strings})


@given(
    st.text(max_size=200) | st.text('{}[]",:\\ainstruction output', max_size=200),
    st.sampled_from(["stop", "length"]),
)
def test_any_text_gives_at_least_one_piece_that_can_be_stored(text: str, finish: Finish) -> None:
    pieces = read(text, finish)
    assert pieces
    for piece in [
        *pieces,
        read_line(reply(text, finish)),
        read_answer(Draft("x"), reply(text, finish)),
    ]:
        for part in vars(piece).values():
            assert part in (None, {}, ()) or part.encode() is not None


@given(st.lists(tasks, min_size=1, max_size=4), st.data())
def test_a_broken_reply_gives_only_tasks_that_were_in_it(
    rows: list[dict[str, str]], data: st.DataObject
) -> None:
    """Cut it anywhere or strike a piece out of it: each draft is one of the written rows, or shorter by what was struck."""
    text = json.dumps({"tasks": rows}, ensure_ascii=data.draw(st.booleans()))
    cut = text[: data.draw(st.integers(0, len(text)))]
    written = [
        Draft(*(row[name].strip() for name in ("instruction", "input", "output"))) for row in rows
    ]
    drafts = [piece for piece in read(cut, "length") if isinstance(piece, Draft)]
    assert drafts == written[: len(drafts)]
    assert [piece for piece in read(f"Here: {text} done") if isinstance(piece, Draft)] == written


def test_a_single_instruction_and_its_answer() -> None:
    assert read_line(reply(" Name a lake. \n")) == Draft("Name a lake.")
    assert rules([read_line(reply("Name a lake.\nVictoria"))]) == ["several_lines"]
    assert rules([read_line(reply("Name a la", "length"))]) == ["cut_off"]
    assert read_answer(Draft("Name lakes."), reply("1. Victoria\n2. Chad\n")) == Draft(
        "Name lakes.", "", "1. Victoria\n2. Chad"
    )
    assert rules([read_answer(Draft("x"), reply(" "))]) == ["empty_reply"]
    assert rules([read_answer(Draft("x"), reply("half \ud800"))]) == ["not_unicode"]
    assert rules([read_answer(Draft("x"), reply("half \ufffd"))]) == [
        "not_unicode"
    ]  # as a paid reply is kept


def test_thinking_is_not_read_and_a_mark_ends_a_reply() -> None:
    task = '{"instruction": "Name a bird.", "input": "", "output": "A wren."}'
    draft = task.replace("bird", "fish")
    for text in (f"<think>{draft}</think>{task}", f"{draft}</think>{task}", f"{task}<|im_end|>"):
        (piece,) = read_tasks(Completion(text, "stop", Usage()).for_the_reader())
        assert isinstance(piece, Draft) and piece.instruction == "Name a bird."
    (piece,) = read_tasks(Completion(f"<think>{draft}", "stop", Usage()).for_the_reader())
    assert isinstance(piece, Unread) and piece.rule == "only_thoughts"


def test_thinking_within_the_output_of_a_task_is_no_part_of_it() -> None:
    text = '{"instruction": "Name a bird.", "input": "", "output": "<think>hm</think>A wren.</s>"}'
    (piece,) = read_tasks(Completion(text, "stop", Usage()).for_the_reader())
    assert isinstance(piece, Draft) and piece.output == "A wren."


@pytest.mark.parametrize(
    "frame",
    [
        '{"tasks": [%s, "instruction": "B", "input": "", "output": "b"}, %s]}',
        '{"tasks": [%s, {"instruction": "B", "output": "b", %s]}',
        '[%s, "instruction": "B", "output": "b", %s]',
    ],
)
def test_a_task_that_lost_its_brackets_is_an_unread_piece_and_moves_no_other(frame: str) -> None:
    a, c = (f'{{"instruction": "{name}", "input": "", "output": "x"}}' for name in "AC")
    first, third, lost = read_tasks(Completion(frame % (a, c), "stop", Usage()))
    assert [getattr(piece, "instruction", "") for piece in (first, third)] == ["A", "C"]
    assert isinstance(lost, Unread) and lost.rule == "not_json" and '"B"' in lost.text
