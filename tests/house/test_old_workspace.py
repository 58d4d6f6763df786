"""A workspace that an older alpaca-pipe made is still read: nothing dear runs again, and the books say what they said.

old_workspace.tar.xz was made by the build of 2026-11-29, before its modules were moved into rooms. It holds three recipes
with their seeds, `runs/`, and in `expected/` what that build printed of them: `small` is the whole road with a scripted
teacher, run twice with one key changed; `paid` is an endpoint, killed once with four requests in flight; `batches` asks by
files. Twelve minutes of a person are entered. The teachers' answers are our script's; prices stand in the recipes.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.ledger.store.journal import Journal
from tests.command import told

ARCHIVE = Path(__file__).with_name("old_workspace.tar.xz")
RECIPES = {
    "small": ("generate", "curate", "train", "evaluate", "export"),
    "paid": ("generate", "curate"),
    "batches": ("generate", "curate"),
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(unpacked: Path, tmp_path: Path) -> Path:
    """A copy of its own, since to open a ledger writes beside it."""
    return shutil.copytree(unpacked, tmp_path / "old")


def expected(old: Path, name: str) -> Any:
    return json.loads((old / "expected" / name).read_text())


def lost(was: Any, now: Any, where: str = "") -> list[str]:
    """What the older build said and today's does not, or says otherwise; what is new besides is not looked at."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [
            line
            for key, value in was.items()
            for line in (
                lost(value, now[key], f"{where}.{key}")
                if key in now
                else [f"{where}.{key} is gone"]
            )
        ]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [
            line
            for place, (one, other) in enumerate(zip(was, now, strict=True))
            for line in lost(one, other, f"{where}[{place}]")
        ]
    return [] if was == now else [f"{where}: {was!r} is now {now!r}"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_runs_anew_is_cheap_and_makes_the_same_rows(old: Path, recipe: str) -> None:
    """The rules of curate (version 3 -> 7) and of evaluate (1 -> 3) are others than they were, and both cost seconds. What curate
    makes here is the same to the byte, so nothing is asked, bought or trained again, and the next run does nothing. An export is written again: older readers took
    the one of before for another model."""
    plan = json.loads(told("plan", recipe, "--json", cwd=old))
    verdicts = {step["stage"]: step["verdict"] for step in plan["steps"]}
    assert (verdicts["generate"], verdicts["curate"]) == ("up to date", "run")
    printed = told("run", recipe, "--no-spend", cwd=old)
    assert "the rules of curate changed (version 3 -> 7)" in printed, printed
    kept = [stage for stage in ("generate", "train") if stage in RECIPES[recipe]]
    assert printed.count("up to date") == len(kept), printed
    assert all(f"{stage:9} up to date" in printed for stage in kept), printed
    before = (old / "runs" / recipe / "history.jsonl").read_bytes()
    printed = told("run", recipe, "--no-spend", cwd=old)
    assert printed.count("up to date") == len(RECIPES[recipe]), printed
    assert (old / "runs" / recipe / "history.jsonl").read_bytes() == before


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_rows_and_its_history_are_what_they_were(old: Path, recipe: str) -> None:
    for what in ("rows", "history"):
        now = json.loads(told(what, recipe, "--json", cwd=old))
        assert not lost(expected(old, f"{what}_{recipe}.json"), now)


def test_a_row_is_traced_to_its_reply_and_its_cents(old: Path) -> None:
    was = expected(old, "trace.json")
    assert not lost(was, json.loads(told("trace", was[0]["id"], "--json", cwd=old)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_report_is_written_anew(old: Path, recipe: str) -> None:
    page = old / "runs" / recipe / "report.html"
    page.unlink()
    told("report", recipe, cwd=old)
    text = page.read_text()
    for chapter in ("money", "funnel", "rows", "terms", "provenance"):
        assert f'id="{chapter}"' in text
    if recipe == "paid":  # all of it is teacher's money
        (line,) = (
            line for line in expected(old, "by_recipe.json")["lines"] if line["recipe"] == recipe
        )
        for amount in (line["dollars"]["settled"], line["dollars"]["lost"]):
            assert f"${float(amount):.4f}" in text


def test_two_of_its_runs_are_compared(old: Path) -> None:
    found = json.loads(told("compare", "small@2", "small@1", "--json", cwd=old))
    assert "generate.likeness" in json.dumps(found)


def test_status_and_gc_know_its_steps(old: Path) -> None:
    assert told("status", cwd=old).count("sealed") == sum(map(len, RECIPES.values()))
    before = sorted(path.name for path in (old / "runs" / "store").iterdir())
    told("gc", cwd=old)
    assert sorted(path.name for path in (old / "runs" / "store").iterdir()) == before


@pytest.mark.parametrize("by", ["recipe", "model", "class"])
def test_the_ledger_adds_up_as_it_did(old: Path, by: str) -> None:
    now = json.loads(told("ledger", "--by", by, "--json", cwd=old))
    assert not lost(expected(old, f"by_{by}.json"), now)


def test_the_ledger_is_exported_as_it_was(old: Path) -> None:
    """Every entry and every FOCUS charge of the older build, value by value; a column may be added."""
    now = json.loads(
        told("ledger", "--json", "--focus", "focus.csv", "--jsonl", "entries.jsonl", cwd=old)
    )
    assert not lost(expected(old, "ledger.json"), now)
    for name in ("focus.csv", "entries.jsonl"):
        was, is_ = rows(old / "expected" / name), rows(old / name)
        assert len(was) == len(is_) > 40
        assert not lost(was, is_)


def exported(old: Path) -> tuple[bytes, ...]:
    """The two exports, without the mark of a scripted teacher's money, which older builds did not make."""
    charges, entries = _exported(old)
    charges = re.sub(rb",(x_Simulated|true|)(?=\r?\n)", b"", charges)
    return charges, entries.replace(b', "simulated": true', b"")


def _exported(old: Path) -> tuple[bytes, bytes]:
    told("ledger", "--focus", "focus.csv", "--jsonl", "entries.jsonl", cwd=old)
    return (old / "focus.csv").read_bytes(), (old / "entries.jsonl").read_bytes()


def test_the_exports_are_the_same_bytes_also_once_todays_program_has_written(old: Path) -> None:
    """Books only grow: what stood in them is exported as it was, byte for byte but for a column added, and what is new comes behind it."""
    was = tuple((old / "expected" / name).read_bytes() for name in ("focus.csv", "entries.jsonl"))
    assert exported(old) == was
    with Journal.open(old / "runs" / "ledger.sqlite") as journal:  # to write: tables may be added
        journal.recover("paid")
        before = {recipe: journal.totals(recipe) for recipe in RECIPES}
    assert exported(old) == was
    told("run", "paid", "--no-spend", cwd=old)
    now = exported(old)
    assert now[1].startswith(was[1]) and set(was[0].splitlines()) <= set(now[0].splitlines())
    with Journal.open(old / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert before["small"] == journal.totals("small")
        assert before["paid"].settled == journal.totals("paid").settled


def test_the_sums_are_those_of_its_entries(old: Path) -> None:
    """Counted here from the older build's own export, apart from the program: nano-dollar by nano-dollar."""
    settled, lost = Counter[str](), Counter[str]()
    for entry in rows(old / "expected" / "entries.jsonl"):
        kind, amount = entry["kind"], entry["nanodollars"]
        settled[entry["recipe"]] += amount if kind in ("settled", "reconciled", "correction") else 0
        lost[entry["recipe"]] += amount if kind == "lost" else 0
        lost[entry["recipe"]] -= entry["frees"] if kind == "reconciled" else 0
    with Journal.open(old / "runs" / "ledger.sqlite", read_only=True) as journal:
        for recipe in RECIPES:
            totals = journal.totals(recipe)
            assert (totals.settled, totals.lost) == (settled[recipe], lost[recipe])
        assert sum(settled.values()) == journal.totals().settled > 0


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return (
            list(csv.DictReader(stream))
            if path.suffix == ".csv"
            else [json.loads(line) for line in stream]
        )
