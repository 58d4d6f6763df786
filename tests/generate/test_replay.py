"""A changed filter judges the stored replies anew, each seat its own, and buys nothing without being told to."""

from __future__ import annotations

import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.generate.stage import STAGE
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.runner import run
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.store import Done
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.teachers.config import TeacherTable

CATALOG = Catalog((STAGE,), {"teacher": TeacherTable, "budget": BudgetTable})
FILES = ("examples.jsonl", "rejected.jsonl", "seats.jsonl")
TEACHER = "{{kind: rehearsed, model: scripted, price: {price}, served: served.jsonl}}"
# Of those that look at the rows so far and of those that do not, one each; make test-all takes two.
STYLES = [
    "alpaca",
    "two-step",
    *(pytest.param(style, marks=pytest.mark.slow) for style in ("alpaca-2023", "self-instruct")),
]


def generate(
    home: Path,
    style: str,
    *overrides: str,
    price: str = "{in: 0.15, out: 0.60}",
    runs: str = "runs",
    **how: Any,
) -> Done:
    (home / "r.yaml").write_text(
        f"teacher: {TEACHER.format(price=price)}\n"
        f"generate: {{style: {style}, count: 60, round_size: 4}}\n"
    )
    loaded = load_recipe(str(home / "r.yaml"), CATALOG, overrides)
    console = Console(file=(home / "printed").open("w"), soft_wrap=True)
    return run(loaded, CATALOG, Workspace(home / runs), console, **how).steps["generate"]


def served(home: Path) -> Counter[str]:
    path = home / "served.jsonl"
    return Counter(row["asked"] for row in read_jsonl(path)) if path.exists() else Counter()


def files(done: Done) -> list[bytes]:
    return [(done.folder / name).read_bytes() for name in FILES]


def keys(folder: Path) -> dict[str, str]:
    """The first request of each seat."""
    return {
        f"{row['round']}/{row['seat']}": row["keys"][0]
        for row in read_jsonl(folder / "seats.jsonl")
    }


@pytest.mark.parametrize("style", STYLES)
def test_a_stricter_filter_sends_nothing_and_says_what_the_rest_would_cost(
    tmp_path: Path, style: str
) -> None:
    first = generate(tmp_path, style)
    before = served(tmp_path)
    with pytest.raises(UserError) as caught:
        generate(tmp_path, style, "generate.likeness=0.4")
    assert served(tmp_path) == before
    told = str(caught.value)
    assert "of 60 rows come from stored replies" in told and "the rest would cost about $" in told
    assert "with --spend" in told and "set generate.count=" in told
    have = int(told.split("generate.count=")[1].split(" ")[0])
    fewer = generate(tmp_path, style, "generate.likeness=0.4", f"generate.count={have}")
    assert served(tmp_path) == before
    assert (fewer.summary["accepted"], fewer.summary["from_store"]) == (
        have,
        fewer.summary["requests"],
    )
    assert keys(fewer.folder).items() <= keys(first.folder).items()


@pytest.mark.parametrize("style", STYLES)
def test_with_consent_only_what_is_missing_is_bought(tmp_path: Path, style: str) -> None:
    first = generate(tmp_path, style)
    before = served(tmp_path)
    more = generate(tmp_path, style, "generate.likeness=0.4", spend=True)
    assert more.summary["accepted"] >= 60
    assert (
        keys(first.folder).items() <= keys(more.folder).items()
    )  # the seats that there were kept their replies
    assert set(served(tmp_path).values()) == {1}
    assert (
        sum(served(tmp_path).values())
        == sum(before.values()) + more.summary["requests"] - more.summary["from_store"]
    )
    replay = more.summary["replay"]
    assert replay["of"] == first.folder.name and replay["replies"] > 0
    assert (replay["otherwise"] > 0) == (
        style in ("alpaca", "self-instruct")
    )  # the styles that look at the rows so far
    assert (
        f"{replay['replies']} replies of {first.folder.name}" in (tmp_path / "printed").read_text()
    )


def test_a_milder_filter_does_without_the_answers_that_were_never_asked(tmp_path: Path) -> None:
    generate(tmp_path, "two-step", "generate.likeness=0.4")
    before = served(tmp_path)
    milder = generate(tmp_path, "two-step", "generate.likeness=0.9")
    assert served(tmp_path) == before
    assert milder.summary["replay"]["not_asked"] == milder.summary["rejected"]["not_asked"] > 0
    again = generate(
        tmp_path, "two-step", "generate.likeness=0.9", "generate.count=70"
    )  # more rows: that is consent
    assert again.summary["accepted"] >= 70 and "not_asked" not in again.summary["rejected"]


def test_what_is_free_needs_no_consent(tmp_path: Path) -> None:
    generate(tmp_path, "alpaca", price="free")
    assert (
        generate(tmp_path, "alpaca", "generate.likeness=0.4", price="free").summary["accepted"]
        >= 60
    )


def test_no_spend_sends_nothing_ever(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        generate(tmp_path, "alpaca", spend=False)
    assert "0 of 60 rows come from stored replies; the rest would cost about $" in str(caught.value)
    assert "without --no-spend" in str(caught.value)
    assert not served(tmp_path)
    with pytest.raises(UserError):
        generate(tmp_path, "alpaca", "budget.api=0.004")
    part = served(tmp_path)
    with pytest.raises(UserError, match="come from stored replies"):
        generate(tmp_path, "alpaca", spend=False)
    assert served(tmp_path) == part
    whole = generate(tmp_path, "alpaca")
    assert files(generate(tmp_path, "alpaca", spend=False)) == files(whole)  # up to date


def test_fresh_asks_anew(tmp_path: Path) -> None:
    first = generate(tmp_path, "alpaca")
    other = generate(tmp_path, "alpaca", "generate.likeness=0.4", fresh=True)
    assert "replay" not in other.summary
    mine, theirs = keys(first.folder), keys(other.folder)
    assert {place for place in mine if mine[place] == theirs[place]} >= {
        f"0/{seat}" for seat in range(4)
    }
    assert any(mine[place] != theirs[place] for place in mine)


def spent(workspace: Path) -> Decimal:
    with Journal.open(workspace / "ledger.sqlite", read_only=True) as journal:
        return Decimal(journal.totals().spent) / NANO


def test_a_replay_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    generate(tmp_path, "alpaca")
    shutil.copytree(tmp_path / "runs", tmp_path / "other")
    before = spent(tmp_path / "runs")
    whole = generate(tmp_path, "alpaca", "generate.likeness=0.35", spend=True)
    middle = before + (spent(tmp_path / "runs") - before) * Decimal("0.6")
    with pytest.raises(UserError, match="budget"):
        generate(
            tmp_path,
            "alpaca",
            "generate.likeness=0.35",
            f"budget={{api: {middle}, go_on: true}}",
            spend=True,
            runs="other",
        )
    assert before < spent(tmp_path / "other") <= middle
    assert read_json(tmp_path / "other" / "r" / "begun.json")["generate"] == whole.folder.name
    resumed = generate(tmp_path, "alpaca", "generate.likeness=0.35", spend=True, runs="other")
    assert files(resumed) == files(whole)
    assert spent(tmp_path / "other") == spent(tmp_path / "runs")


def test_a_run_that_was_stopped_is_replayed_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="budget"):
        generate(tmp_path, "alpaca", "budget.api=0.004")
    before = served(tmp_path)
    other = generate(
        tmp_path, "alpaca", "generate.likeness=0.5"
    )  # the rows were ordered and never came: it goes on
    assert other.summary["replay"]["replies"] > 4
    assert set(served(tmp_path).values()) == {1} and before.keys() < served(tmp_path).keys()


def test_another_question_is_no_replay(tmp_path: Path) -> None:
    generate(tmp_path, "alpaca")
    other = generate(tmp_path, "alpaca", "generate.temperature=0.9", "generate.likeness=0.6")
    assert "replay" not in other.summary and other.summary["from_store"] == 0
