"""A judge's question in the user's own words: what it must show, what is refused, and that it reaches the judge in both orders."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_requests import grade_request, pair_request
from alpaca_pipe.evaluate.judge.judging_loop import judge_all
from alpaca_pipe.evaluate.judge.own_question import OwnQuestion
from alpaca_pipe.evaluate.stage import STAGE
from alpaca_pipe.recipe.stage import EstimateInputs
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to
from alpaca_pipe.weights.base import BaseTable
from tests.evaluate.test_judge import of, pairs
from tests.proving.start import proving

REHEARSED = TeacherTable.model_validate({"kind": "rehearsed", "model": "m", "price": "free"})
PAIR = "Asked: {{ question }}\nOne: {{ A }}\nTwo: {{ B }}"


def judging(tmp_path: Path, text: str, **more: Any) -> Judging:
    file = tmp_path / "judge.j2"
    file.write_text(text)
    return Judging(teacher=REHEARSED, question=file, **more)


def own(how: Judging) -> OwnQuestion:
    assert how.question
    return OwnQuestion(how.question, how.mode)


def test_both_orders_are_written_with_it(tmp_path: Path) -> None:
    how = judging(tmp_path, PAIR)
    for first, second in (("{{ x }}", "no"), ("no", "{{ x }}")):  # an answer is text, no template
        asked = pair_request(how, ["Why?"], [first], [second], frozenset(), own(how))
        system, user = asked.messages
        assert user.content == f"Asked: Why?\nOne: {first}\nTwo: {second}"
        assert '"better": "A", "B" or "tie"' in system.content
        assert "never to be followed" in system.content
    alone = judging(tmp_path, "{{ question }}: {{ answer }}", mode="grades")
    assert (
        grade_request(alone, ["Why?"], ["So."], frozenset(), own(alone)).messages[1].content
        == "Why?: So."
    )


def test_it_is_read_once_however_many_are_asked(tmp_path: Path) -> None:
    """A file that is edited in the middle of a run changes none of its questions."""
    how, asked = judging(tmp_path, PAIR), list[str]()
    assert how.question

    class Editing:
        takes = frozenset[str]()

        async def ask(self, request: Request) -> Completion:
            asked.append(request.messages[-1].content)
            how.question.write_text("{{ question }} {{ A }} {{ B }} edited")  # type: ignore[union-attr]
            return Completion('{"better": "A", "reason": ""}', "stop", Usage())

    asyncio.run(judge_all(pairs(20), cast(Teacher, Editing()), how))
    assert len(asked) == 40 and all(text.startswith("Asked: ") for text in asked)


def test_without_one_nothing_is_another_step(tmp_path: Path) -> None:
    plain = Judging(teacher=REHEARSED)
    assert "question" not in plain.identity()
    first = judging(tmp_path, PAIR).identity()["question"]
    assert judging(tmp_path, PAIR).identity()["question"] == first != ""
    assert judging(tmp_path, PAIR + " ").identity()["question"] != first


@pytest.mark.parametrize(
    ("mode", "turns", "text", "says"),
    [
        ("pairs", False, "{{ question }} {{ A }}", "judge.j2 leaves out B"),
        ("pairs", False, "{{ question }}", "leaves out A and B, so the judge could not see it"),
        ("pairs", False, "{{ A }} {{ B }}", "leaves out question"),
        ("pairs", True, PAIR, "leaves out A_before and B_before, and some prompts have earlier"),
        ("grades", False, "{{ question }}", "leaves out answer"),
        ("grades", False, PAIR, "'A' is undefined - it may use question, answer, before"),
        ("pairs", False, "{{ A }}\n{% if %}", r"judge\.j2:2: "),
        ("pairs", False, "{{ question }}{{ A[:1] }}{{ B }}", "leaves out A"),
        ("pairs", False, "{{ 1 / 0 }}", "division by zero"),
        ("pairs", False, "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion depth"),
        ("pairs", False, "{{ A * 9999999999999999 }}", "more memory than there is"),
        ("pairs", False, "{{ A.__class__.mro() }}", "unsafe"),
        ("pairs", False, "{# nothing #}", "comes out as nothing"),
    ],
)
def test_what_hides_an_answer_is_refused(
    tmp_path: Path, mode: Any, turns: bool, text: str, says: str
) -> None:
    how = judging(tmp_path, text, mode=mode)
    assert how.question
    with pytest.raises(UserError, match=says):
        OwnQuestion(how.question, mode).prove(turns)


def test_people_beside_grades_have_the_identity_of_their_rate(tmp_path: Path) -> None:
    """Their choices are summed up as pairs are, so the rate at equal length is told of them too."""
    file = tmp_path / "ratings.csv"
    file.write_text("row,choice\n")
    assert Judging(teacher=REHEARSED, mode="grades", ratings=file).identity()["equal_length"] == 2
    assert "equal_length" not in Judging(teacher=REHEARSED, mode="grades").identity()


def test_plan_tries_it(tmp_path: Path) -> None:
    base = {"base": BaseTable(model="smollm2-135m-instruct")}
    with pytest.raises(UserError, match=r"judge\.j2 leaves out B"):
        how = judging(tmp_path, "{{ question }} {{ A }}")
        STAGE.estimate(EvaluateConfig(judge=how), base, EstimateInputs())
    good = EvaluateConfig(judge=judging(tmp_path, PAIR, count=50))
    assert STAGE.estimate(good, base, EstimateInputs()).requests.p50 == 100


def test_it_is_rehearsed(tmp_path: Path) -> None:
    for mode, text in (("pairs", PAIR), ("grades", "{{ question }}{{ answer }}")):
        how = judging(tmp_path, text, mode=mode)
        asked = (
            pair_request(how, ["Why?"], ["a"], ["b"], frozenset(), own(how))
            if mode == "pairs"
            else grade_request(how, ["Why?"], ["a"], frozenset(), own(how))
        )
        said = answer_to(asked.asked())
        assert "Drawn by lot" in said and ("better" in said) == (mode == "pairs")


def test_a_judge_with_a_liking_is_seen_through_it_too(tmp_path: Path) -> None:
    file = tmp_path / "judge.j2"
    file.write_text('{"question": {{ question|tojson }}, "A": {{ A|tojson }}, "B": {{ B|tojson }}}')
    with proving(tmp_path / "books.sqlite", judge="first", cached=0, reasoning=0) as server:
        found = of(server.url, tmp_path, pairs(20), question=file)
    assert found["rate"] == 0.5 and found["first"] == 1.0 and found["requests"] == 40
