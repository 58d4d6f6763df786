"""At most so many rows of each file, the same ones each time; and Orca's two stages, with a teacher each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_json, read_jsonl, shipped
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.sources.caps import capped, file_of
from alpaca_pipe.generate.sources.context import of_file
from alpaca_pipe.generate.styles.orca import ADDED, SYSTEMS
from tests.command import command, told

QUESTIONS = shipped("seed_tasks") / "systems" / "questions"


def row(file: str, number: int) -> Example:
    return Example.of(f"{file} {number}", "", "a", Origin("imported", f"{file}.jsonl.gz#{number}"))


files = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 20), min_size=1)


@given(sizes=files, cap=st.integers(1, 25), more=st.integers(0, 5))
def test_no_file_gives_more_and_a_higher_cap_keeps_what_there_was(
    sizes: dict[str, int], cap: int, more: int
) -> None:
    rows = [row(name, n) for name, many in sizes.items() for n in range(many)]
    kept, wider = capped(rows, cap), capped(rows, cap + more)
    for name, many in sizes.items():
        assert sum(file_of(one) == name for one in kept) == min(many, cap)
    assert {one.id for one in kept} <= {one.id for one in wider}
    assert kept == [one for one in rows if one in kept]
    assert {one.id for one in capped(list(reversed(rows)), cap)} == {one.id for one in kept}


def test_a_file_that_is_not_named_comes_whole_and_a_wrong_name_is_told() -> None:
    rows = [row(name, n) for name in ("cot", "t0") for n in range(9)]
    kept = capped(rows, {"cot": 2})
    assert [sum(file_of(one) == name for one in kept) for name in ("cot", "t0")] == [2, 9]
    with pytest.raises(UserError, match="called 'cots'.*did you mean 'cot'"):
        capped(rows, {"cots": 2})


def test_the_shipped_questions_are_four_sources_of_flans_columns() -> None:
    grounds = of_file(QUESTIONS, 5)
    assert len(grounds) == 20 and len(of_file(QUESTIONS)) == 48
    assert {file_of(one.example) for one in grounds if one.example} == {"cot", "nli", "niv2", "t0"}
    assert all(one.example and one.example.output for one in grounds)


def test_what_was_capped_by_name_is_made_anew_and_nothing_else(tmp_path: Path) -> None:
    """Files of one name in two folders once shared a cap: a step that was made so is not up to date. All others stay."""
    for name in ("a/cot.jsonl", "b/t0.jsonl.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")

    def identity(**changed: Any) -> dict[str, Any]:
        table = {"style": "orca", "rows": str(tmp_path), "count": 3, "per_source": 2} | changed
        return GenerateConfig.model_validate(table).identity()

    apart = identity()
    assert "capped" not in apart
    (tmp_path / "b/cot.jsonl").write_bytes(b"")
    assert identity()["capped"] == "by file"
    assert "capped" not in identity(per_source=None)


TEACHER = "teacher: {{kind: rehearsed, model: {model}, price: {{in: {price}, out: {price}}}}}\n"
RECIPE = """\
base: {model: tiny}
generate: {style: orca, rows: ROWS, per_source: 6, count: 20, round_size: 8}
curate: {held_out: 4, likeness: 1}
export: {dataset: [openorca]}
"""


def test_two_stages_the_cheap_teachers_rows_first_and_each_teacher_paid_once(
    tmp_path: Path,
) -> None:
    body = RECIPE.replace("ROWS", str(QUESTIONS))
    (tmp_path / "cheap.yaml").write_text(TEACHER.format(model="cheap", price=1) + body)
    strong = "extends: cheap.yaml\nteacher: {model: strong, price: {in: 9, out: 9}}\ngenerate: {extend: EXTEND, count: 36}\n"
    told("run", "cheap.yaml", cwd=tmp_path)
    (tmp_path / "strong.yaml").write_text(strong.replace("EXTEND", "cheap@1"))
    told("run", "strong.yaml", cwd=tmp_path)
    steps = {
        name: read_json(tmp_path / "runs" / name / "lock.json")["steps"]
        for name in ("cheap", "strong")
    }
    store = tmp_path / "runs" / "store"
    first, both = (
        list(read_jsonl(store / steps[name]["generate"] / "examples.jsonl")) for name in steps
    )
    assert both[: len(first)] == first and len(both) >= 36 > len(first) >= 20
    out = list(read_jsonl(store / steps["strong"]["export"] / "dataset" / "openorca.jsonl"))
    assert all(set(one) == {"id", "system_prompt", "question", "response"} for one in out)
    assert {one["system_prompt"] for one in out} <= {*SYSTEMS, *ADDED}
    card = (store / steps["strong"]["export"] / "dataset" / "README.md").read_text()
    assert "cheap" in card and "strong" in card
    # in again: the same questions, answers and system prompts
    (tmp_path / "back.yaml").write_text(
        f"curate:\n  from: {store / steps['strong']['export'] / 'dataset' / 'openorca.jsonl'}\n"
        "  held_out: 4\n  likeness: 1\n  filters: none\n"
    )
    told("run", "back.yaml", cwd=tmp_path)
    folder = store / read_json(tmp_path / "runs" / "back" / "lock.json")["steps"]["curate"]
    again = {
        (one["system"], one["instruction"], one["output"])
        for one in read_jsonl(folder / "examples.jsonl")
    }
    assert again == {(one["system_prompt"], one["question"], one["response"]) for one in out}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"per_source": {"cots": 3}}, "no file of generate.rows is called 'cots'"),
        ({"per_source": 3, "rows": None}, "per_source caps the files of rows"),
        ({"per_source": 0}, "per_source"),
    ],
)
def test_what_cannot_be_capped_is_said_in_the_plan(
    tmp_path: Path, keys: dict[str, object], said: str
) -> None:
    generate = {"style": "orca", "rows": str(QUESTIONS), "count": 5, **keys}
    if generate["rows"] is None:
        del generate["rows"]
    recipe = {"teacher": {"kind": "rehearsed", "model": "m", "price": "free"}, "generate": generate}
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    answer = command("plan", "r.yaml", cwd=tmp_path)
    assert answer.code == 2 and said in answer.out + answer.err


def test_files_of_one_name_in_two_folders_and_names_with_points_are_files_of_their_own() -> None:
    rows = [row(name, n) for name in ("a/train", "b/train", "flan.v1", "flan.v2") for n in range(9)]
    assert len(capped(rows, 4)) == 16
    kept = capped(rows, {"b/train": 2, "flan.v2": 3})
    assert [sum(file_of(one) == name for one in kept) for name in ("a/train", "b/train")] == [9, 2]
    assert [sum(file_of(one) == name for one in kept) for name in ("flan.v1", "flan.v2")] == [9, 3]
