"""Style alpaca as a dialogue: a small model is shown turns, one task each, and answers with the next one as JSON."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.files import shipped
from alpaca_pipe.generate.config import GenerateTable
from alpaca_pipe.generate.reply import Draft
from alpaca_pipe.generate.seeds import read_seeds
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.generate.styles.alpaca import Alpaca
from tests.generate.scripted import ALL, TEACHER, Scripted, dataset, generation, run


def style(**more: object) -> Alpaca:
    made = style_of(GenerateTable.model_validate({"count": 1, "dialogue": True, **more}), TEACHER, ALL)
    assert isinstance(made, Alpaca)
    return made


def test_each_seed_is_a_turn_and_the_last_one_is_open() -> None:
    made = generation(Scripted(), "alpaca", dialogue=True, shown=2, round_size=3)
    seats = made._draw_seats()
    assert len({tuple(seed.example.id for seed in seat.shown) for seat in seats}) == 1  # a server reads them once
    assert len({seat.topics for seat in seats}) == 3 and not any(seat.lacks for seat in seats)
    request = made.style.ask(seats[0])
    assert [message.role for message in request.messages] == ["system", *["user", "assistant"] * 2, "user"]
    shown = seats[0].shown[0]
    assert request.messages[1].content == f"Write a task about {shown.topic}."
    assert json.loads(request.messages[2].content) == {"instruction": shown.example.instruction, "output": shown.example.output}
    assert request.messages[-1].content == f"Write a task about {seats[0].topics[0]}."
    schema = request.decoding["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["instruction", "output"] == schema["required"]


def test_it_shows_what_fits_a_dialogue() -> None:
    seeds = read_seeds(shipped("seed_tasks") / "alpaca.jsonl")
    assert all(not seed.example.input and seed.topic for seed in style().usable(seeds))
    assert len(style().usable(seeds)) == 50


def test_its_reply_is_read_like_every_other() -> None:
    seat, = generation(Scripted(), "alpaca", dialogue=True, round_size=1)._draw_seats()
    reply = Completion('```json\n{"instruction": "Name a big lake.", "output": "Chad"}\n```', "stop", Usage(), "k")
    assert style().read(seat, reply) == [Draft("Name a big lake.", "", "Chad")]


def test_one_task_a_request_at_any_concurrency() -> None:
    first = run(Scripted(1), "alpaca", dialogue=True)
    assert first.asked.requests == len(first.seats) and len(first.examples) >= 30
    assert not any(row.input for row in first.examples)
    assert dataset(run(Scripted(64), "alpaca", dialogue=True)) == dataset(first)


def test_the_two_keys_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="one task a request"):
        GenerateTable.model_validate({"count": 1, "dialogue": True, "tasks": 4})
    with pytest.raises(ValidationError, match="no 'dialogue'"):
        GenerateTable.model_validate({"count": 1, "dialogue": True, "style": "evol"})
