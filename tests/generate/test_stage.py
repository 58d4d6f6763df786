"""The stage on the real engine, with the scripted teacher behind its real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of, read_jsonl
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.stage import STAGE
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.runner import run
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate, EstimateInputs
from alpaca_pipe.recipe.store import Done
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.teachers.config import TeacherTable

CATALOG = Catalog((STAGE,), {"teacher": TeacherTable, "budget": BudgetTable})
FILES = ("examples.jsonl", "rejected.jsonl", "seats.jsonl", "seeds.jsonl")


def recipe(home: Path, text: str, *overrides: str) -> Recipe:
    teacher = (
        ""
        if "teacher:" in text
        else "teacher: {kind: rehearsed, model: scripted, price: {in: 0.15, out: 0.60}}\n"
    )
    (home / "r.yaml").write_text(teacher + text)
    return load_recipe(str(home / "r.yaml"), CATALOG, overrides, home / "runs")


def generate(home: Path, text: str, *overrides: str, runs: str = "runs") -> Done:
    console = Console(file=(home / "printed").open("w"))
    return run(recipe(home, text, *overrides), CATALOG, Workspace(home / runs), console).steps[
        "generate"
    ]


def rows(done: Done, name: str) -> list[Any]:
    return list(read_jsonl(done.folder / name))


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_enough_rows_and_all_that_is_said_of_them_adds_up(tmp_path: Path, style: str) -> None:
    done = generate(tmp_path, f"generate: {{style: {style}, count: 30, round_size: 8}}")
    summary = done.summary
    assert summary["accepted"] == len(rows(done, "examples.jsonl")) >= 30
    assert sum(summary["rejected"].values()) == len(rows(done, "rejected.jsonl")) > 0
    assert summary["pieces"] == summary["accepted"] + sum(summary["rejected"].values())
    assert summary["requests"] == sum(len(seat["keys"]) for seat in rows(done, "seats.jsonl"))
    assert (summary["style"], summary["seeds"], summary["from_store"], summary["note"]) == (
        style,
        175,
        0,
        "",
    )
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals(recipe="r").requests == summary["requests"]
        assert all(journal.stored(row["origin"]["source"]) for row in rows(done, "examples.jsonl"))
    seeds = {row["id"] for row in rows(done, "seeds.jsonl")}
    assert all(set(row["origin"]["parents"]) <= seeds for row in rows(done, "examples.jsonl"))


def test_the_same_bytes_at_any_concurrency_and_from_the_store(tmp_path: Path) -> None:
    text = "generate: {count: 40, round_size: 8}"
    first = generate(tmp_path, text)
    other = generate(tmp_path, text, "teacher.concurrency=32", runs="other")
    again = generate(tmp_path, text + "\nname: again", "generate.max_requests=100")
    assert again.folder != first.folder
    assert again.summary["from_store"] == again.summary["requests"] == first.summary["requests"]
    for name in FILES:
        assert (
            (other.folder / name).read_bytes()
            == (again.folder / name).read_bytes()
            == (first.folder / name).read_bytes()
        )


def test_a_limit_that_comes_too_early_is_said_and_what_there_is_is_used(tmp_path: Path) -> None:
    done = generate(tmp_path, "generate: {count: 500, round_size: 4, max_requests: 6}")
    assert done.summary["requests"] == 6
    assert (
        done.summary["note"]
        == f"stopped at {done.summary['accepted']} of 500 rows: max_requests (6) is reached"
    )
    assert done.summary["note"] in (tmp_path / "printed").read_text()


def test_nothing_accepted_is_an_error_that_leaves_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stopped at 0 of 5 rows"):
        generate(tmp_path, "generate: {count: 5, round_size: 2, max_tokens: 16, max_requests: 4}")
    (folder,) = (tmp_path / "runs" / "store").glob("generate-*")
    assert {row["rule"] for row in read_jsonl(folder / "rejected.jsonl")} == {"cut_off"}


def test_a_budget_that_ends_keeps_what_was_bought(tmp_path: Path) -> None:
    text = "generate: {count: 60, round_size: 4}\nbudget: {api: 0.003}"
    with pytest.raises(UserError, match="budget"):
        generate(tmp_path, text)
    (folder,) = (tmp_path / "runs" / "store").glob("generate-*")
    bought = len(list(read_jsonl(folder / "examples.jsonl")))
    assert bought > 0
    done = generate(tmp_path, text, "budget.api=1")
    assert done.summary["from_store"] > 0
    assert len(rows(done, "examples.jsonl")) > bought
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals(recipe="r").requests == done.summary["requests"]


@pytest.mark.parametrize(
    "text, told",
    [
        ("generate: {count: 5, style: two-step, tasks: 4}", "has no 'tasks'"),
        ("generate: {count: 5, style: no-such}", "r.yaml:2: generate.style"),
        (
            "generate: {count: 5, bugs: {misnumbered: false}}",
            "style alpaca has no 'bugs' - remove it, or use style: alpaca-2023",
        ),
        ("generate: {count: 5, extend: r@2026-01-01}", "r has no run of 2026-01-01 that made rows"),
        ("generate: {count: 5, extend: mine.jsonl}", "name an examples.jsonl of ours"),
        ("generate: {count: 5, likeness: 1.5}", "r.yaml:2: generate.likeness"),
        ("generate: {count: 5, seeds: mine.jsonl}", "no such file"),
    ],
)
def test_mistakes_in_the_table(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(tmp_path, text)
    assert told in str(caught.value)


def estimated(home: Path, text: str) -> Estimate:
    wanted = recipe(home, text)
    return STAGE.estimate(wanted.stages["generate"], wanted.everything(), EstimateInputs())


def test_a_plan_finds_what_would_fail_later(tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text(
        '{"instruction": "Name a lake.", "output": "Chad", "topic": "lakes"}\n'
    )
    with pytest.raises(UserError, match="3 seeds are to be shown, and few.jsonl has 1"):
        estimated(tmp_path, "generate: {count: 5, seeds: few.jsonl}")
    with pytest.raises(UserError, match="asks in chat"):
        estimated(
            tmp_path,
            "teacher: {kind: openai_completions, model: m, price: free}\ngenerate: {count: 5}",
        )
    with pytest.raises(UserError, match="no price"):
        estimated(
            tmp_path, "teacher: {kind: openai_chat, model: nobody-knows}\ngenerate: {count: 5}"
        )


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_the_plan_is_near_what_it_took(tmp_path: Path, style: str) -> None:
    """Within a factor of two, on the scripted teacher; for paid ones it is a first guess."""
    text = f"generate: {{style: {style}, count: 100, round_size: 8}}"
    planned, took = estimated(tmp_path, text), generate(tmp_path, text).summary
    for name in ("requests", "tokens_in", "tokens_out"):
        assert took[name] / 2 < getattr(planned, name).p50 < took[name] * 2, name


def test_each_row_says_where_it_comes_from(tmp_path: Path) -> None:
    done = generate(tmp_path, "generate: {count: 20, round_size: 4}")
    seeds = {row["id"] for row in rows(done, "seeds.jsonl")}
    seats = {f"{seat['round']}/{seat['seat']}": seat for seat in rows(done, "seats.jsonl")}
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        for row in rows(done, "examples.jsonl"):
            origin, details = row["origin"], row["origin"]["details"]
            assert (details["style"], details["teacher"], details["sample"]) == (
                "alpaca",
                "a script in place of scripted",
                0,
            )
            seat, reply = (
                seats[details["place"].rpartition("/")[0]],
                journal.reply_row(origin["source"]),
            )
            assert reply and reply["settled"] > 0
            assert (
                digest_of(reply["request"]["messages"])[:16]
                == details["prompt"]
                == seat["prompts"][0]
            )
            assert set(origin["parents"]) == set(seat["shown"]) <= seeds
    assert "read its licence" in done.summary["terms"]
    other = generate(
        tmp_path,
        "teacher: {kind: rehearsed, model: m, price: free, terms: my own}\n"
        "generate: {count: 5, round_size: 4}\nname: own",
    )
    assert other.summary["terms"] == "my own"


def test_an_earlier_run_is_extended(tmp_path: Path) -> None:
    text = "generate: {count: 30, round_size: 4}"
    first = generate(tmp_path, text)
    day = first.finished[:10]
    more = generate(
        tmp_path,
        f"generate: {{count: 60, round_size: 4, extend: r@{day}}}\nname: more",
        runs="runs",
    )
    old, new = rows(first, "examples.jsonl"), rows(more, "examples.jsonl")
    assert new[: len(old)] == old and len(new) >= 60
    assert more.summary["extended"] == len(old)
    assert more.summary["accepted"] == len(new) - len(old)
    assert more.summary["pieces"] == more.summary["accepted"] + sum(
        more.summary["rejected"].values()
    )
    assert more.summary["from_store"] == 0  # other prompts than those whose rows it has
    assert len({row["id"] for row in new}) == len(new)
    named = {row["origin"]["details"].get("nearest") for row in new[len(old) :]}
    assert named & {row["id"] for row in old}  # they are known to novelty
    path = f"generate: {{count: 60, round_size: 4, extend: {first.folder / 'examples.jsonl'}}}\nname: path"
    assert generate(tmp_path, path).folder == more.folder  # known by content
    whole = generate(
        tmp_path, f"generate: {{count: 20, round_size: 4, extend: r@{day}}}\nname: whole"
    )
    assert whole.summary["requests"] == whole.summary["accepted"] == 0
    assert rows(whole, "examples.jsonl") == old


@pytest.mark.parametrize("dialect", ["chat", "completions"])
def test_style_alpaca_2023_in_either_dialect(tmp_path: Path, dialect: str) -> None:
    teacher = f"teacher: {{kind: rehearsed, model: text-davinci-003, dialect: {dialect}, price: {{in: 20, out: 20}}}}\n"
    text = f"{teacher}generate: {{style: alpaca-2023, count: 40, round_size: 4, bugs: {{misnumbered: false}}}}"
    table = recipe(tmp_path, text).stages["generate"]
    assert isinstance(table, GenerateConfig)
    assert (table.max_tokens, table.words, table.bugs.misnumbered, table.bugs.stop_at_20) == (
        3072,
        "rouge",
        False,
        True,
    )
    planned, done = estimated(tmp_path, text), generate(tmp_path, text)
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        asked = journal.reply_row(rows(done, "examples.jsonl")[0]["origin"]["source"])
    assert asked and asked["request"]["decoding"]["stop"] == ["\n20", "20.", "20."]
    assert asked["request"]["decoding"]["logit_bias"] == {"50256": -100}
    assert done.summary["pieces"] / done.summary["requests"] > 8
    for name in ("requests", "tokens_in", "tokens_out"):
        assert done.summary[name] / 2 < getattr(planned, name).p50 < done.summary[name] * 2, name


def test_a_rehearsal_is_small(tmp_path: Path) -> None:
    small = (
        recipe(tmp_path, "generate: {count: 52000, round_size: 1000}")
        .rehearsed()
        .stages["generate"]
    )
    assert small.count == 24  # type: ignore[attr-defined]
    assert small.round_size == 8  # type: ignore[attr-defined]
