"""generate.prompt: the user's own words in the place of a style's; all else is the style's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.own_prompt import how_it_ends
from alpaca_pipe.generate.parsing.reply import Draft, Piece
from alpaca_pipe.generate.run import may_do_better
from alpaca_pipe.generate.style_registry import style_names
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.generate.styles.base import Seat, Style
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to
from tests.generate.scripted import ROWS, SEEDS, TEACHER, VET, Scripted, run

NEEDS = {"documents": (VET,)}


def style(name: str, file: Path | None, **keys: object) -> Style:
    keys |= {"documents": NEEDS[name]} if name in NEEDS else {}
    table = GenerateConfig.model_validate({"style": name, "count": 5, "prompt": file} | keys)
    return style_of(table, TEACHER, TEACHER.takes)


def place(own: Style) -> Seat:
    drawn = ("bread",) * own.topics
    return Seat(0, 0, SEEDS[:3], drawn, ROWS[0], lacks=("writing",) * own.topics, draw=4)


@pytest.mark.parametrize("name", style_names())
def test_the_styles_own_text_is_there_to_be_wrapped(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.j2"
    file.write_text("{{ prompt }}\n\nNo jokes.")
    plain, own = style(name, None), style(name, file)
    theirs, ours = plain.request_for(place(plain)), own.request_for(place(own))
    assert ours.messages[:-1] == theirs.messages[:-1] and ours.decoding == theirs.decoding
    assert ours.messages[-1].content == f"{theirs.messages[-1].content.strip()}\n\nNo jokes."
    assert ours.messages[-1].role == theirs.messages[-1].role
    assert own.name == plain.name and own.follows == plain.follows


@pytest.mark.parametrize("name", style_names())
@pytest.mark.parametrize(
    "text", ["{{ prompt }}\n\nNo jokes. No task is about money.", "No jokes.\n\n{{ prompt }}"]
)
def test_a_rehearsal_answers_it_as_it_answers_the_styles_own(
    name: str, text: str, tmp_path: Path
) -> None:
    """In as many pieces that can be read, more or less, and of the same length."""
    file = tmp_path / "mine.j2"
    file.write_text(text)

    def readable(asking: Style) -> tuple[int, int]:
        pieces = list[Piece]()
        for draw in range(30):
            asked = asking.request_for(seat := replace(place(asking), draw=draw))
            reply = Completion(answer_to({**asked.asked(), "draw": draw}), "stop", Usage())
            pieces += asking.parse(seat, reply)
        drafts = [piece for piece in pieces if isinstance(piece, Draft)]
        return len(drafts), sum(len(draft.instruction) for draft in drafts) // len(drafts)

    plain, own = readable(style(name, None)), readable(style(name, file))
    assert all(0.7 < mine / theirs < 1.4 for mine, theirs in zip(own, plain, strict=True)), (
        own,
        plain,
    )


@pytest.mark.parametrize(
    ("name", "end"), [("alpaca-2023", "4. Instruction:"), ("self-instruct", "4.")]
)
def test_a_reply_that_goes_on_from_an_end_that_is_not_there_is_told(
    name: str, end: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.j2"
    for text, told in (
        ("{{ prompt }}\n\nNo jokes.", 1),
        ("No jokes.\n{{ prompt }}", 0),
        ("{{ prompt }}\n", 0),
    ):
        file.write_text(text)
        own = style(name, file)
        own.request_for(place(own))
        said = how_it_ends(own, file)
        assert len(said) == told and all(
            f"({end}), and mine.j2 ends otherwise" in one for one in said
        )
    plain = style("alpaca", file)
    plain.request_for(place(plain))
    assert not how_it_ends(plain, file)


def test_where_no_reply_of_its_form_comes_its_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.j2").write_text("Say something about {{ domain or 'life' }}.")
    table = GenerateConfig.model_validate(
        {"style": "alpaca-2023", "count": 5, "prompt": tmp_path / "mine.j2"}
    )
    assert "mine.j2" in may_do_better(table) and "alpaca-2023" in may_do_better(table)
    assert (
        may_do_better(table.model_copy(update={"prompt": None}))
        == "another teacher or style may do better"
    )


def test_everything_a_prompt_may_need(tmp_path: Path) -> None:
    file = tmp_path / "mine.j2"
    file.write_text(
        "{% for seed in seeds %}{{ loop.index }}. {{ seed.instruction }} ({{ seed.topic }})\n{% endfor %}"
        "{{ tasks }} about {{ topics | join(', ') }}, {{ kinds | length }}, {{ worn }}, {{ domain }}"
        "{% if row %}: {{ row.instruction }}{% endif %}{{ passage }}"
    )
    own = style("alpaca", file, tasks=2, domain="law")
    said = own.request_for(place(own)).messages[-1].content.splitlines()
    assert said[:3] == [
        f"{n}. {seed.example.instruction} ({seed.topic})" for n, seed in enumerate(SEEDS[:3], 1)
    ]
    assert said[3] == f"2 about bread, bread, 2, [], law: {ROWS[0].example.instruction}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{ seed.instruction }}", "mine.j2:2: 'seed' is undefined"),
        ("one\n{% for %}", "mine.j2:2: "),
        ("one\n\n{{ tasks / 0 }}", "mine.j2:3: division by zero"),
        ("{% if false %}x{% endif %}", "mine.j2 comes out as nothing"),
        ("{{ 'x' * 2000000 }}", "2,000,000 characters"),
        ("{{ ().__class__.__bases__ }}", "mine.j2:1: access to attribute '__class__'"),
    ],
)
def test_a_file_that_fails_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.j2"
    file.write_text(text)
    own = style("alpaca", file)
    with pytest.raises(UserError, match=re.escape(said)):
        own.request_for(place(own))


def test_its_content_is_part_of_the_identity_and_none_is_none(tmp_path: Path) -> None:
    file = tmp_path / "mine.j2"
    file.write_text("a")
    table = GenerateConfig.model_validate({"count": 5, "prompt": file})
    before = table.identity()
    file.write_text("b")
    assert table.identity() != before and str(tmp_path) not in json.dumps(before)
    assert "prompt" not in GenerateConfig.model_validate({"count": 5}).identity()


def test_rows_come_of_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.j2"
    file.write_text("Write {{ tasks }} tasks for a school. Answer in JSON.")
    made = run(Scripted(), "alpaca", (), count=12, prompt=file)
    assert len(made.examples) >= 12
