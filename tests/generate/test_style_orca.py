"""style: orca - rows answered anew under a system prompt of their own."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.generate.parsing.reply import Draft, Unread
from alpaca_pipe.generate.sources.context import of_file
from alpaca_pipe.generate.styles.orca import ADDED, SYSTEMS, Orca
from tests.generate.scripted import ALL, ROWS, Scripted, reply, rules, run, seat

EVERY = (*SYSTEMS, *ADDED)
STYLE = Orca(500, None, ALL)


def test_the_task_is_asked_as_it_stands_and_its_answer_is_not_shown() -> None:
    ground = next(ground for ground in ROWS if ground.example and ground.example.input)
    assert ground.example
    system, user = STYLE.request_for(seat(ground, draw=3)).messages
    assert system.content in EVERY
    assert user.content == f"{ground.example.instruction}\n\n{ground.example.input}"


def test_each_row_keeps_its_system_prompt_its_task_and_its_parent() -> None:
    made = run(Scripted(), "orca", ROWS, count=len(ROWS))
    rows = {ground.source: ground.example for ground in ROWS}
    assert made.exhausted().endswith("was used as often as generate.times allows") or len(
        made.examples
    ) == len(ROWS)
    for example in made.examples:
        parent = rows[example.origin.parents[0]]
        assert parent and (example.instruction, example.input) == (parent.instruction, parent.input)
        assert example.system in EVERY and example.output
    assert len({example.system for example in made.examples}) > 6
    assert set(rules(made)) == {"cut_off"}
    assert len(made.examples) + len(made.rejected) == len(ROWS)


def test_another_time_another_prompt_and_ids_stay_apart() -> None:
    made = run(Scripted(), "orca", ROWS[:3], count=1000, times=12)
    assert len({example.id for example in made.examples}) == len(made.examples)
    assert (
        len(
            {
                example.system
                for example in made.examples
                if example.origin.parents == (ROWS[0].source,)
            }
        )
        > 3
    )


@pytest.mark.parametrize(
    "text, finish, expected",
    [
        ("", "stop", "empty_reply"),
        (" \n", "stop", "empty_reply"),
        ("Because first", "length", "cut_off"),
        ("x", "content_filter", "content_filter"),
        ("half \ud800", "stop", "not_unicode"),
    ],
)
def test_an_answer_that_is_empty_or_cut_is_no_row(text: str, finish: str, expected: str) -> None:
    (piece,) = STYLE.parse(seat(ROWS[0]), reply(text, finish))  # type: ignore[arg-type]
    assert isinstance(piece, Unread) and piece.rule == expected


def test_an_answer_that_only_repeats_the_task_is_dropped() -> None:
    row = ROWS[0].example
    assert row
    (echoed,) = STYLE.parse(seat(ROWS[0]), reply(f" {row.instruction} "))
    assert isinstance(echoed, Draft)
    found = STYLE.rejection(seat(ROWS[0]), echoed)
    assert found and found.rule == "output_is_instruction"


def test_rows_of_any_form_are_grounds(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "instruction,input,output\nName a lake.,,Chad\nAdd them.,1 and 2,3\n"
    )
    (tmp_path / "dolly.jsonl").write_text(
        '{"instruction": "Name a lake.", "context": "", "response": "Chad"}\n'
    )
    assert [ground.text for ground in of_file(tmp_path / "rows.csv")] == [
        "Name a lake.",
        "Add them.\n\n1 and 2",
    ]
    assert (
        of_file(tmp_path / "dolly.jsonl")[0].source == of_file(tmp_path / "rows.csv")[0].source
    )  # known by its content
    (tmp_path / "talk.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}\n'
    )
    with pytest.raises(UserError, match="1 of 1 rows are conversations"):
        of_file(tmp_path / "talk.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"instruction": "x", "output"\n')
    with pytest.raises(UserError, match=r"bad\.jsonl:1"):
        of_file(tmp_path / "bad.jsonl")


def test_the_prompts_differ() -> None:
    assert len(set(EVERY)) == len(EVERY) == 16


def test_each_is_as_likely_and_most_rows_have_the_one_that_they_had() -> None:
    draws = range(16_000)
    asked = [STYLE.request_for(seat(ROWS[0], draw=draw)).messages[0].content for draw in draws]
    counts = Counter(asked)
    assert set(counts) == set(EVERY) and all(850 < many < 1150 for many in counts.values())
    before = [random.Random(draw).choice(SYSTEMS) for draw in draws]
    assert sum(map(str.__eq__, before, asked)) / len(asked) > 0.86
