"""Grades from a real teacher over real HTTP: read, stored, paid for once, and what they decide."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.grading.grader import read_grade
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.scripted.scripted_teacher import recorded
from tests.curate.test_stage import Quiet, bench, row

TAKES = frozenset({"max_tokens", "temperature", "response_format"})
FREE = {"kind": "rehearsed", "model": "scripted", "price": "free"}
PAID = TeacherTable(kind="rehearsed", model="gpt-4o-mini", concurrency=8)
ROWS = [
    row(f"Say what the word number {n} of {n * n + 7} means here.", output=f"It means {n}.")
    for n in range(60)
]


class Told(Quiet):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def laid(
    folder: Path, rows: list[Example], teacher: TeacherTable | None = None, caps: Caps | None = None
) -> StageContext:
    found = bench(folder, rows)
    return replace(
        found, tables={"teacher": teacher} if teacher else {}, progress=Told(), caps=caps or Caps()
    )


def config(**grade: Any) -> CurateConfig:
    text = json.dumps({"held_out": 1, "likeness": 1, "filters": "none", "grade": grade})
    return CurateConfig.model_validate_json(text, context={"folder": Path(".")})


def answered(folder: Path, grading: Grading, replies: list[tuple[Example, str]]) -> TeacherTable:
    """A teacher that answers these rows with these words."""
    write_jsonl(
        folder / "lines.jsonl",
        [
            recorded(
                grading.request(example, TAKES), Completion(text, "stop", Usage(100, 0, 0, 20))
            )
            for example, text in replies
        ],
    )
    return TeacherTable.model_validate({**FREE, "lines": folder / "lines.jsonl"})


def test_rows_below_the_threshold_go_with_the_graders_words(tmp_path: Path) -> None:
    texts = [
        '{"grade": 4.5, "reason": "Right."}',
        '{"grade": 4, "reason": "It is \\"thin\\"."}',
        "5",
        "no idea",
    ]
    grading = Grading(threshold=Decimal("4.5"))
    at = laid(tmp_path, ROWS[:4])
    teacher = answered(tmp_path, grading, list(zip(ROWS, texts, strict=False)))
    at = replace(at, tables={"teacher": teacher})
    said = STAGE.run(CurateConfig(held_out=1, likeness=Decimal(1), grade=grading), at).summary
    assert said["kept"] == 3 and said["rejected"] == {"grade": 1}
    [gone] = read_jsonl(at.folder / "rejected.jsonl")
    assert (
        gone["id"] == ROWS[1].id
        and gone["reason"] == 'accuracy 4 of 5, at least 4.5 wanted: It is "thin".'
    )
    grades = list(read_jsonl(at.folder / "grades.jsonl"))
    assert [one["grade"] for one in grades] == [4.5, 4.0, 5.0, None] and [
        one["id"] for one in grades
    ] == [one.id for one in ROWS[:4]]
    assert at.progress.said == [
        "1 of 4 grades could not be read; these rows stay (no grade in the reply: 'no idea')"
    ]  # type: ignore[attr-defined]
    kept = list(read_jsonl(at.folder / "examples.jsonl"))
    assert [one["origin"].get("details", {}).get("grade") for one in kept] == [4.5, 5.0, None]
    assert said["grade"]["histogram"] == {"4": 1, "4.5": 1, "5": 1}
    assert (said["grade"]["graded"], said["grade"]["ungraded"], said["grade"]["below"]) == (3, 1, 1)
    assert 0 < said["grade"]["tokens_below"] < said["grade"]["tokens"]


def test_the_best_so_many_stay_and_of_equals_the_first(tmp_path: Path) -> None:
    grading = Grading(top_k=2)
    at = laid(tmp_path, ROWS[:5])
    teacher = answered(tmp_path, grading, list(zip(ROWS, ["3", "4", "5", "4", "2"], strict=False)))
    STAGE.run(
        CurateConfig(held_out=1, likeness=Decimal(1), grade=grading),
        replace(at, tables={"teacher": teacher}),
    )
    assert [one["id"] for one in read_jsonl(at.folder / "examples.jsonl")] == [
        ROWS[1].id,
        ROWS[2].id,
    ]
    reasons = {one["id"]: one["reason"] for one in read_jsonl(at.folder / "rejected.jsonl")}
    assert reasons[ROWS[3].id] == "accuracy 4 of 5, not among the best 2, which end at 4"


def test_of_duplicates_the_one_with_the_best_grade_stays(tmp_path: Path) -> None:
    rows = [
        row("Name the longest river of all Asia."),
        row("Name the longest river of all Asia.", output="The Yangtze, 6,300 km."),
    ]
    grading = Grading()
    at = laid(tmp_path, [*rows, ROWS[0]])
    teacher = answered(
        tmp_path, grading, list(zip([*rows, ROWS[0]], ["4.5", "5", "5"], strict=True))
    )
    whole = CurateConfig.model_validate(
        {"held_out": 1, "grade": grading, "duplicates": {"keep": "best"}}
    )
    assert STAGE.run(whole, replace(at, tables={"teacher": teacher})).summary["rejected"] == {
        "likeness": 1
    }
    assert [one["id"] for one in read_jsonl(at.folder / "examples.jsonl")] == [
        rows[1].id,
        ROWS[0].id,
    ]


def test_a_row_to_which_a_filter_objects_is_not_paid_for_and_nothing_is_paid_twice(
    tmp_path: Path,
) -> None:
    served = tmp_path / "served.jsonl"
    teacher = PAID.model_copy(update={"served": served})
    at = laid(tmp_path, [*ROWS, row("Say what an empty answer is worth.", output="")], teacher)
    settings = CurateConfig(held_out=1, likeness=Decimal(1), grade=Grading(threshold=Decimal(2)))
    first = STAGE.run(settings, at).summary
    assert first["rejected"]["empty_output"] == 1 and first["grade"]["requests"] == 60
    assert first["read"] == 61 == first["kept"] + sum(first["rejected"].values())
    assert len(list(read_jsonl(served))) == 60
    again = STAGE.run(settings, at).summary
    assert len(list(read_jsonl(served))) == 60 and again["grade"]["from_store"] == 60
    assert again | {"grade": {**again["grade"], "from_store": 0}} == first
    totals = at.journal.totals("tea")
    assert totals.requests == 60 and totals.settled == sum(
        150 * first["grade"]["tokens_in"] + 600 * first["grade"]["tokens_out"] for _ in "x"
    )


def test_a_cap_holds_and_what_came_until_then_is_kept(tmp_path: Path) -> None:
    one = CurateConfig(held_out=1, likeness=Decimal(1), grade=Grading())
    with pytest.raises(OverBudget):
        STAGE.run(one, laid(tmp_path, ROWS, PAID, Caps(total=1_500_000)))
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals("tea")
    assert 0 < totals.settled <= 1_500_000 and 0 < totals.requests < 60
    assert (
        STAGE.run(one, laid(tmp_path, ROWS, PAID)).summary["grade"]["from_store"] == totals.requests
    )


def test_grades_that_none_can_read_are_not_paid_for_to_the_end(tmp_path: Path) -> None:
    grading = Grading()
    at = laid(tmp_path, ROWS)
    teacher = answered(tmp_path, grading, [(example, "I like it.") for example in ROWS]).model_copy(
        update={"served": tmp_path / "served.jsonl"}
    )
    with pytest.raises(UserError, match="none of the first 32 grades can be read"):
        STAGE.run(CurateConfig(held_out=1, grade=grading), replace(at, tables={"teacher": teacher}))
    assert len(list(read_jsonl(tmp_path / "served.jsonl"))) == 32


def test_the_plan_says_what_grading_costs_and_what_is_missing(tmp_path: Path) -> None:
    class Generate:
        count = 52_002

    settings = config(threshold=4.5)
    said = STAGE.estimate(settings, {"generate": Generate(), "teacher": PAID}, EstimateInputs())
    assert (
        said.requests.p50 == 52_002 and 2e9 < said.api.p50 < 6e9
    )  # 52K rows by gpt-4o-mini: a few dollars
    assert "accuracy graded by gpt-4o-mini" in said.says
    with pytest.raises(UserError, match="the recipe has no table 'teacher:'"):
        STAGE.estimate(settings, {"generate": Generate()}, EstimateInputs())
    own = config(teacher=FREE, threshold=9)
    with pytest.raises(UserError, match="no grade reaches the threshold 9"):
        STAGE.estimate(own, {"generate": Generate()}, EstimateInputs())
    assert STAGE.uses == ("teacher?",)


def test_the_identity_knows_the_grader(tmp_path: Path) -> None:
    one, other = config(teacher=FREE), config(teacher={**FREE, "model": "another"})
    assert one.identity() != other.identity()
    assert one.identity() == config(teacher={**FREE, "concurrency": 9}).identity()
    assert one.rehearsed().grade.teacher.kind == "rehearsed"  # type: ignore[union-attr]


def test_the_script_answers_with_and_without_a_schema(tmp_path: Path) -> None:
    for teacher in (PAID, PAID.model_copy(update={"refuses": ("response_format",)})):
        said = STAGE.run(
            CurateConfig(held_out=1, likeness=Decimal(1), grade=Grading(scale=10)),
            laid(tmp_path / teacher.model_dump_json()[-40:-30].replace("/", ""), ROWS, teacher),
        ).summary["grade"]
        assert said["graded"] == 60 and said["scale"] == 10 and 5 < said["mean"] < 10


@pytest.mark.parametrize(
    ("text", "finish", "grade"),
    [
        ('{"grade": 4.5, "reason": "Right."}', "stop", "4.5"),
        ('{"grade": 5}', "stop", "5"),
        ('Here it is:\n```json\n{"grade": 3, "reason": "Thin."}\n```', "stop", "3"),
        ('{"grade": "4/5"}', "stop", "4"),
        ('{"grade": 4.5, "reason": "It goes on and', "length", "4.5"),
        ('{"grade": 4', "length", None),
        ("4", "length", None),
        ("4.5", "stop", "4.5"),
        ("4.5/5", "stop", "4.5"),
        ("Grade: 4 out of 5. It is right.", "stop", "4"),
        ("**Score:** 3.5\nIt is thin.", "stop", "3.5"),
        ("I give it a rating of 2.", "stop", "2"),
        ("7", "stop", None),
        ("-1", "stop", None),
        ("4/10", "stop", None),
        ("4,5", "stop", None),
        ("", "stop", None),
        ("In 1999 it was right.", "stop", None),
        ("too long", "refused", None),
        ('{"grade": 9, "reason": "x"}', "stop", None),
    ],
)
def test_grades_as_they_are_written(text: str, finish: Any, grade: str | None) -> None:
    found, words = read_grade(Completion(text, finish, Usage()), 5)
    assert found == (None if grade is None else Decimal(grade)) and (grade is not None or words)


@given(st.integers(0, 20), st.text(max_size=60), st.sampled_from([None, 2]))
def test_what_was_asked_for_is_read_whatever_the_reason_holds(
    half: int, reason: str, indent: int | None
) -> None:
    text = json.dumps({"grade": half / 2, "reason": reason}, indent=indent)
    assert read_grade(Completion(text, "stop", Usage()), 10) == (
        Decimal(str(half / 2)),
        " ".join(reason.split()),
    )


def test_what_the_judge_thought_is_no_grade() -> None:
    for text in (
        '<think>grade: 5 would be kind</think>{"grade": 1, "reason": "wrong"}',
        'grade: 5 would be kind</think>{"grade": 1, "reason": "wrong"}',
        '<|channel|>analysis<|message|>{"grade": 5}<|end|><|start|>assistant<|channel|>final<|message|>{"grade": 1, "reason": "wrong"}',
    ):
        assert read_grade(Completion(text, "stop", Usage()), 5) == (Decimal(1), "wrong")
    assert read_grade(Completion("<think>grade: 5", "stop", Usage()), 5)[0] is None
