"""style: constitutional - draft, critique and revision, each stored; a changed principle buys only what it touches."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.files import shipped
from alpaca_pipe.evaluate.refusals.declines import declines
from alpaca_pipe.generate.parsing.reply import Draft, Unread
from alpaca_pipe.generate.sources.context import of_file
from alpaca_pipe.generate.sources.principles import OURS, Principle, drawn, read_principles
from alpaca_pipe.generate.styles.constitutional import Constitutional
from alpaca_pipe.teachers.scripted.recorded_replies import RecordedReplies
from tests.generate.scripted import ALL, ROWS, Scripted, reply, rules, run, seat

STYLE = Constitutional(300, 0.7, ALL)


def walked(*texts: str) -> list[Draft]:
    """The drafts of a row whose three replies say so."""
    place, drafts = seat(ROWS[0], draw=5), []
    (piece,) = STYLE.parse(place, reply(texts[0]))
    for text in texts[1:]:
        assert isinstance(piece, Draft)
        drafts.append(piece)
        assert STYLE.follow_up(place, piece)
        (piece,) = STYLE.parse_follow_up(place, piece, reply(text))
    assert isinstance(piece, Draft)
    return [*drafts, piece]


def test_three_requests_each_with_what_was_said_before() -> None:
    place, principle = seat(ROWS[0], draw=5), drawn(OURS, 5)
    first, second, third = walked("a draft", "too short", "a better answer")
    assert [one.content for one in STYLE.request_for(place).messages] == [ROWS[0].text]
    critique, revision = STYLE.follow_up(place, first), STYLE.follow_up(place, second)
    assert critique and revision and STYLE.follow_up(place, third) is None
    said = [(one.role, one.content) for one in revision.messages]
    assert said == [
        ("user", ROWS[0].text),
        ("assistant", "a draft"),
        ("user", principle.critique),
        ("assistant", "too short"),
        ("user", principle.revision),
    ]
    assert said[:3] == [(one.role, one.content) for one in critique.messages]
    assert "temperature" not in critique.decoding
    assert third.output == "a better answer"
    assert third.details == {
        "draft": "a draft",
        "principle": principle.name,
        "critique": "too short",
    }


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_reply_that_is_cut_anywhere_makes_no_row(place: int) -> None:
    here = seat(ROWS[0])
    piece = STYLE.parse(here, reply("x", "length" if place == 0 else "stop"))[0]
    for number in range(1, place + 1):
        assert isinstance(piece, Draft)
        finish = "length" if number == place else "stop"
        piece = STYLE.parse_follow_up(here, piece, reply("x", finish))[0]  # type: ignore[arg-type]
    assert isinstance(piece, Unread) and piece.rule == "cut_off"


def test_each_row_keeps_its_task_its_draft_and_its_principle() -> None:
    made = run(Scripted(), "constitutional", ROWS, count=len(ROWS))
    rows = {ground.source: ground.example for ground in ROWS}
    assert made.examples and set(rules(made)) <= {"cut_off"}
    assert len(made.examples) + len(made.rejected) == len(ROWS)
    for example in made.examples:
        parent, details = rows[example.origin.parents[0]], example.origin.details
        assert parent and (example.instruction, example.input) == (parent.instruction, parent.input)
        assert details["draft"] and details["critique"] and len(details["asked_before"]) == 2
    assert len({one.origin.details["principle"] for one in made.examples}) > 3


def test_a_changed_principle_buys_only_the_rows_that_it_was_drawn_for(tmp_path: Path) -> None:
    def file(last: str) -> Path:
        path = tmp_path / "principles.yaml"
        rows = [f"- {{name: n{i}, critique: c{i}, revision: r{i}}}\n" for i in range(4)]
        path.write_text("".join(rows) + f"- {{name: last, critique: c, revision: {last}}}\n")
        return path

    teacher = Scripted()
    run(teacher, "constitutional", ROWS, count=len(ROWS), principles=file("one"))
    before = set(teacher.sent)
    made = run(teacher, "constitutional", ROWS, count=len(ROWS), principles=file("another"))
    bought = set(teacher.sent) - before
    touched = [one for one in made.examples if one.origin.details["principle"] == "last"]
    cut = [one for one in made.rejected if one.rule == "cut_off"]
    assert touched and len(touched) <= len(bought) <= len(touched) + len(cut)
    assert len(bought) < len(ROWS) / 2


def test_the_small_recipe_has_its_three_answers_to_each_request() -> None:
    """Recorded under its one principle: about half decline, the others help, and no draft is its revision."""
    folder = shipped("seed_tasks") / "systems"
    style = Constitutional(320, None, ALL, read_principles(folder / "principle.yaml"))
    said = RecordedReplies.of_file(folder / "revised.jsonl")
    grounds = of_file(folder / "requests.jsonl")
    rows = []
    for ground in grounds:
        place, request = seat(ground), style.request_for(seat(ground))
        text = said.next_turn(request.asked())
        assert text, ground.text
        (piece,) = style.parse(place, reply(text))
        while isinstance(piece, Draft) and (asked := style.follow_up(place, piece)):
            text = said.next_turn(asked.asked())
            assert text, ground.text
            (piece,) = style.parse_follow_up(place, piece, reply(text))
        assert isinstance(piece, Draft) and style.rejection(place, piece) is None
        rows.append(piece)
    assert len(rows) >= 60 and all(row.output != row.details["draft"] for row in rows)
    assert 0.4 < sum(declines(str(row.output)) for row in rows) / len(rows) < 0.6
    turned_down = [row for row in rows if declines(str(row.details["draft"]))]
    assert len(turned_down) > len(rows) / 3  # drafts that decline what harms nobody
    assert not any(declines(str(row.output)) for row in turned_down)


@given(
    names=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=9, unique=True),
    draw=st.integers(0, 2**64),
)
def test_a_principle_that_goes_moves_only_its_own_rows(names: list[str], draw: int) -> None:
    every = [Principle(name, "c", "r") for name in names]
    chosen, rest = drawn(every, draw), every[1:]
    assert drawn(rest, draw) == (chosen if chosen in rest else drawn(rest, draw))
    assert drawn(list(reversed(every)), draw) == chosen


def test_sentences_and_tables_are_principles(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("- Be kind.\n- {name: brief, critique: Too long?, revision: Cut it.}\n")
    kind, brief = read_principles(path)
    assert kind.name == "Be kind." and "Be kind." in kind.critique and "Be kind." in kind.revision
    assert brief == Principle("brief", "Too long?", "Cut it.")
    assert len({one.name for one in OURS}) == len(OURS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b\n", "no list of principles"),
        ("", "no list of principles"),
        ("- {name: x}\n", "principle 1 is not one"),
        ("- Be kind.\n- 7\n", "principle 2 is not one"),
        ("- Be kind.\n- Be kind.\n", "as an earlier one is"),
        ("- [\n", "p.yaml"),
    ],
)
def test_what_is_no_principle_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises((UserError, UserErrors), match=said):
        read_principles(path)
