"""Two runs side by side: what changed, what went and came, and losses that are compared only where that is fair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.example import Rejected
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.data.run_names import past_run
from alpaca_pipe.report.compare_runs import RunComparison, beside
from alpaca_pipe.report.compare_text import print_beside
from tests.report.conftest import Workspace, buy, examples


def losses(gap: float, ids: range, tokens: int = 10) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{place}",
            "model": model,
            "nats": 20 + place % 3 + (gap + 0.01 * (place % 2) if model == "tuned" else 0),
            "tokens": tokens,
        }
        for place in ids
        for model in ("base", "tuned")
    ]


def pair(
    root: Path, second: list[dict[str, Any]], first: list[dict[str, Any]] | None = None
) -> RunComparison:
    """Two runs of one recipe; the second drops a row more and has other losses."""
    rows, seats = (
        examples(),
        [{"round": 0, "seat": 0, "keys": [f"r1-{place:032x}" for place in range(3)]}],
    )
    history: list[Any] = []
    for number, (kept, own) in enumerate(
        ((rows[:5], first if first is not None else losses(0, range(12))), (rows[1:5], second))
    ):
        made = Workspace(root)
        made.generate(rows)
        write_jsonl(root / "store" / made.steps["generate"] / "seats.jsonl", seats)
        made.curate(
            kept,
            [Rejected(row, "truncated", "it stops") for row in rows if row not in kept],
            held_out=1,
        )
        made.evaluate(rows[:2])
        made.config["curate"] = {"held_out": 1, "likeness": f"0.{7 - number}"}
        for kind in ("curate", "evaluate"):  # a folder for each run
            made.steps[kind] = (
                (root / "store" / made.steps[kind]).rename(root / "store" / f"{kind}-{number}").name
            )
        if own is not None:
            write_jsonl(root / "store" / made.steps["evaluate"] / "losses.jsonl", own)
        made.close()
        history += [
            {**row, "run": f"2026-1{number + 1}-20T10-00-00-000{number}"}
            for row in read_jsonl(root / "tea" / "history.jsonl")
        ]
    write_jsonl(root / "tea" / "history.jsonl", history)
    return beside(past_run(root, "tea@nov"), past_run(root, "tea@dec"), root)


def test_what_changed_and_what_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = pair(tmp_path, losses(-1, range(12)))
    assert [(one.key, one.was, one.now) for one in found.changes] == [
        ("curate.likeness", "0.7", "0.6")
    ]
    assert {one.kind: one.word for one in found.steps} == {
        "generate": "same",
        "curate": "other",
        "evaluate": "other",
    }
    assert (found.rows.was, found.rows.now, found.rows.same, found.rows.gone, found.rows.came) == (
        5,
        4,
        4,
        1,
        0,
    )
    assert found.rules["curate"] == {"truncated": (1, 2)}
    from rich.console import Console

    print_beside(found, Console(width=120))
    said = capsys.readouterr().out
    assert (
        "curate.likeness" in said and "4 are the same, 1 went, 0 came" in said and "better" in said
    )


def test_losses_are_paired_on_the_rows_that_both_hold_out(tmp_path: Path) -> None:
    base, tuned = pair(tmp_path, losses(-1, range(2, 18)), losses(0, range(16))).scores
    assert (base.rows, base.word, base.difference.mean) == (14, "no difference shown", 0)
    assert tuned.word == "better" and tuned.difference.lo == pytest.approx(
        tuned.difference.hi
    ) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (losses(0, range(12)), losses(0, range(20, 30)), "none in common"),
        (losses(0, range(12)), losses(0, range(12), tokens=11), "another number of tokens"),
        (losses(0, range(12)), losses(0, range(8, 20)), "only 4 rows"),
    ],
)
def test_losses_that_do_not_compare_say_why(
    tmp_path: Path, first: Any, second: Any, says: str
) -> None:
    found = pair(tmp_path, second, first)
    assert found.scores == () and says in found.not_compared


def test_the_rows_of_a_run_cost_what_their_replies_cost_whoever_bought_them(tmp_path: Path) -> None:
    buy(tmp_path, [f"r1-{place:032x}" for place in range(3)], run="2026-11-20T10-00-00-0000")
    one, other = pair(tmp_path, losses(0, range(12))).bought
    each = 1000 * 150 + 333 * 600  # nano-dollars, at 0.15 and 0.60 a million
    assert one.nanodollars == other.nanodollars == 3 * each and other.each == 3 * each / 4
    assert one.this_run == 3 * each and other.this_run == 0
    assert one.prices["kettle-1"]["uncached_in"] == "0.15"
