"""`plan prompts`: the search beside a naive one, the rule beside closed forms, the ledger's sum, the sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.planner.imagined_rows import ImaginedRows, idea
from alpaca_pipe.planner.prompts_at_scale import book, rule_of, search
from tests.command import command, told


def likeness(one: list[str], other: list[str]) -> float:
    """ROUGE-L's F of two lists of words, by the textbook's table."""
    line = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for at, its in enumerate(other, 1):
            line[at], before = (
                (before + 1 if word == its else max(line[at], line[at - 1])),
                line[at],
            )
    return 2 * line[-1] / (len(one) + len(other))


def test_the_search_keeps_what_a_naive_one_keeps() -> None:
    rows = ImaginedRows(400, 2.0, 3)
    kept: list[list[str]] = []
    for row in rows:
        words = row.instruction.split()
        if all(likeness(words, one) <= 0.7 for one in kept):
            kept.append(words)
    found = search(rows, "local")
    assert found.rows == 400 and found.kept == len(kept) < 400


def test_the_imagined_rows_are_the_same_each_time() -> None:
    rows = ImaginedRows(50, 1.35, 1)
    assert [row.id for row in rows] == [row.id for row in rows]
    assert idea(7, 1) == idea(7, 1) != idea(8, 1)


@given(factor=st.floats(0.1, 100), power=st.floats(0.3, 2))
def test_a_power_law_is_found_again_and_misses_nothing(factor: float, power: float) -> None:
    rule = rule_of([(rows, factor * rows**power) for rows in (1e4, 3e4, 9e4)])
    assert rule.power == pytest.approx(power) and rule.wrong == pytest.approx(1)
    assert rule.at(1e7) == pytest.approx(factor * 1e7**power, rel=1e-6)


def test_a_miss_grows_with_every_factor_of_three() -> None:
    rule = rule_of([(1, 1), (3, 3), (9, 4.5)])  # said 9 of the largest, and it was 4.5
    assert rule.wrong == pytest.approx(2)
    low, middle, high = rule.around(81)
    assert middle / low == pytest.approx(4) and high / middle == pytest.approx(4)


def test_every_request_is_in_the_ledger(tmp_path: Path) -> None:
    shown = iter([10.0, 16.0])  # by a clock of the test's own: no time is measured
    paid, each = book(300, (640, 900), "gpt-6-luna", tmp_path / "ledger.sqlite", shown.__next__)
    assert paid == pytest.approx(300 * (640 * 0.1 + 900 * 0.5) / 1e6 * NANO, abs=300)
    assert each == pytest.approx((16 - 10) / 300) and not list(shown)


def test_the_command(tmp_path: Path) -> None:
    said = told("plan", "prompts", "rows=1800", "count=52m", "spread=1.6", cwd=tmp_path)
    assert (
        "new rows grow as rows^" in said and "52M prompts' rows" in said and "an assumption" in said
    )
    assert not list(tmp_path.iterdir())
    row = json.loads(told("plan", "prompts", "rows=1800", "spread=1.6", "--json", cwd=tmp_path))
    low, middle, high = row["kept"]["all"]
    assert low <= middle <= high < 52e6 and len(row["measured"]) == 3


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["rows=10"], "say nothing of"),
        (["rows=1m", "count=1k"], "say nothing of"),
        (["engine=spark"], "no engine 'spark'"),
        (["spread=1"], "spread is from"),
        (["rwos=1m"], "did you mean 'rows'"),
    ],
)
def test_what_is_wrong_is_a_sentence(words: list[str], what: str, tmp_path: Path) -> None:
    done = command("plan", "prompts", *words, cwd=tmp_path)
    assert done.code == 2 and what in done.err


@pytest.mark.parametrize(
    "word", ["spread=1.011", "spread=1e6", "tasks=0.001", "tokens_in=0.5", "tokens_out=1e25"]
)
def test_what_cannot_be_simulated_is_a_sentence(word: str, tmp_path: Path) -> None:
    done = command("plan", "prompts", "rows=1600", word, cwd=tmp_path)
    assert done.code == 2 and "plan prompts:" in done.err


@pytest.mark.parametrize("spread", ["1.05", "10"])
def test_ideas_that_run_out_are_no_crash(spread: str, tmp_path: Path) -> None:
    done = command("plan", "prompts", "rows=1600", f"spread={spread}", cwd=tmp_path)
    assert done.code == 0, done.err
