"""The engine on toy stages: what runs, what does not, and that nothing is lost however it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.pricing.token_prices import price_of
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.plan import differences, steps_of
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.workspace import Workspace
from tests.recipe.toy import CATALOG, give, run_toy
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]


def whys(recipe: Path, workspace: Path, *overrides: str) -> dict[str, tuple[str, str]]:
    steps = steps_of(load_recipe(str(recipe), CATALOG, overrides), CATALOG, Workspace(workspace))
    return {step.stage.kind: (step.verdict, step.why) for step in steps}


def ran(counts: Path) -> Counter[str]:
    return Counter(
        line for line in counts.read_text().splitlines() if ":" not in line and " " not in line
    )


def test_a_second_run_runs_nothing(recipe: Path, counts: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert whys(recipe, runs)["reap"] == ("run", "it reads sow/seeds.json, and sow must run first")
    run_toy(recipe, runs)
    run_toy(recipe, runs)
    assert ran(counts) == {"sow": 1, "reap": 1, "sell": 1}
    assert all(verdict == "up to date" for verdict, _ in whys(recipe, runs).values())
    assert len(list(read_jsonl(runs / "toy" / "history.jsonl"))) == 1


def test_what_changed_is_said_and_only_what_depends_on_it_runs(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    run_toy(recipe, runs)
    assert whys(recipe, runs, "reap.keep_even=false")["reap"] == (
        "run",
        "reap.keep_even was True, is False",
    )
    assert whys(recipe, runs, "paint.colour=blue")["sow"] == (
        "run",
        "paint.colour was red, is blue",
    )
    assert whys(recipe, runs, "seed=1")["sow"] == ("run", "seed was 42, is 1")
    run_toy(recipe, runs, "reap.keep_even=false")
    assert ran(counts) == {"sow": 1, "reap": 2, "sell": 2}
    run_toy(recipe, runs)  # back again: everything is still there
    assert ran(counts) == {"sow": 1, "reap": 2, "sell": 2}


def test_an_input_that_is_new_or_gone_has_not_changed() -> None:
    one = {"kind": "reap", "version": 1, "config": {}, "uses": {}, "inputs": {"sow/a": "1"}}
    other = {**one, "inputs": {"sow/a": "1", "sow/b": "2"}}
    assert differences(one, other) == ["it reads sow/b, which it did not"]
    assert differences(other, one) == ["it reads sow/b no more"]
    assert differences(one, {**one, "inputs": {"sow/a": "3"}}) == ["sow/a has changed"]


def test_a_step_that_was_refused_before_it_did_anything_left_no_work(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(ValueError, match="the market is closed"):
        run_toy(recipe, runs, "sell.fail=true")
    assert whys(recipe, runs, "sell.fail=true")["sell"] == (
        "run",
        "not run yet with this recipe",
    )


def test_each_run_is_remembered_with_the_steps_that_belong_together(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"

    def last() -> dict[str, str]:
        steps: dict[str, str] = list(read_jsonl(runs / "toy" / "history.jsonl"))[-1]["steps"]
        return steps

    run_toy(recipe, runs)
    whole = last()
    run_toy(recipe, runs, until="reap")  # nothing to do, and nothing to remember
    run_toy(recipe, runs, "sow.count=9", until="sow")
    assert list(last()) == ["sow"]  # the old crop is not of this sowing
    run_toy(recipe, runs)  # back again: nothing runs, but these are other steps than the last run's
    assert last() == whole
    assert len(list(read_jsonl(runs / "toy" / "history.jsonl"))) == 3


def test_what_an_estimate_finds_wrong_is_said_before_anything_runs(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no market on Mondays"):
        run_toy(recipe, tmp_path / "runs", "sell.day=Monday")
    assert not ran(counts)
    assert not (tmp_path / "runs" / "toy" / "history.jsonl").exists()


def test_a_stage_sees_only_the_tables_that_are_in_its_identity(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    run_toy(recipe, tmp_path / "runs")
    assert "reap saw []" in counts.read_text() and "sow saw ['paint']" in counts.read_text()


def test_a_knob_runs_nothing(recipe: Path, counts: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run_toy(recipe, runs)
    run_toy(recipe, runs, "sow.speed=9", "paint.brush=3")
    assert ran(counts) == {"sow": 1, "reap": 1, "sell": 1}


def test_the_same_result_of_a_changed_step_stops_the_wave(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    run_toy(recipe, runs)
    run_toy(recipe, runs, "paint.colour=blue")  # sow runs again and makes the same seeds
    assert ran(counts) == {"sow": 2, "reap": 1, "sell": 1}


def test_identity_holds_no_path_and_a_file_counts_by_content(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("same")
    (tmp_path / "b.txt").write_text("same")
    runs = tmp_path / "runs"
    run_toy(recipe, runs, "sow.source=a.txt")
    run_toy(recipe, runs, "sow.source=b.txt")
    assert ran(counts)["sow"] == 1
    for stage in runs.glob("store/*/stage.json"):
        assert str(tmp_path) not in stage.read_text()
    (tmp_path / "b.txt").write_text("other")
    assert whys(recipe, runs, "sow.source=b.txt")["sow"][0] == "run"


def test_a_damaged_result_is_set_aside_not_overwritten(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    run_toy(recipe, runs)
    crop = next(runs.glob("store/reap-*/crop.json"))
    crop.write_text("[1]")
    assert whys(recipe, runs)["reap"] == (
        "run",
        "its sealed result is damaged: crop.json was changed",
    )
    run_toy(recipe, runs)
    assert ran(counts) == {"sow": 1, "reap": 2, "sell": 1}
    assert next(runs.glob("store/reap-*.damaged-1/crop.json")).read_text() == "[1]"


def test_until_and_only(recipe: Path, counts: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UserError, match="it needs sow, which must run first"):
        run_toy(recipe, runs, only="reap")
    run_toy(recipe, runs, until="sow")
    run_toy(recipe, runs, only="reap")
    assert ran(counts) == {"sow": 1, "reap": 1}
    with pytest.raises(UserError, match="there is no stage 'sel'"):
        run_toy(recipe, runs, until="sel")


def test_a_failed_stage_keeps_what_was_finished(recipe: Path, counts: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(ValueError, match="market"):
        run_toy(recipe, runs, "sell.fail=true")
    assert [row["outcome"] for row in read_jsonl(runs / "toy" / "history.jsonl")] == ["failed"]
    run_toy(recipe, runs)
    assert ran(counts) == {"sow": 1, "reap": 1, "sell": 2}


def start(recipe: Path, runs: Path, turns: int | None = None) -> subprocess.Popen[bytes]:
    """turns: parts that it makes before it waits; None: it runs freely."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.recipe.toy", str(recipe), str(runs), "sow.count=30"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL if turns is None else subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | ({} if turns is None else {"TOY_TURNS": ""}),
    )
    if turns is not None:
        give(process, turns)
    return process


def test_kill_9_at_random_moments_then_it_completes_without_doing_a_part_twice(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    runs, dice = tmp_path / "runs", random.Random(5)
    for _ in range(6):
        process, goal = start(recipe, runs), len(counts.read_text()) + dice.randrange(60)
        while process.poll() is None and len(counts.read_text()) < goal:
            pass
        process.kill()
        process.communicate()
    process = start(recipe, runs)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors.decode()
    parts = Counter(line for line in counts.read_text().splitlines() if ":" in line)
    # A part is counted after it is written: killed between the two it stands and has no count, and none has two.
    assert set(parts.values()) == {1} and 30 - 6 <= len(parts) <= 30
    assert read_json(next(runs.glob("store/sow-*/seeds.json"))) == list(range(30))


def test_ctrl_c_stops_between_parts_and_says_so(recipe: Path, counts: Path, tmp_path: Path) -> None:
    process = start(recipe, tmp_path / "runs", turns=4)
    until(lambda: "sow:3" in counts.read_text(), process)
    process.send_signal(signal.SIGINT)
    give(process, 1)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and b"stopping" in errors
    assert [row["outcome"] for row in read_jsonl(tmp_path / "runs" / "toy" / "history.jsonl")] == [
        "stopped"
    ]


def test_a_second_process_on_the_same_run_folder_says_so(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    first = start(recipe, tmp_path / "runs", turns=1)
    until(lambda: "sow:0" in counts.read_text(), first)
    second = start(recipe, tmp_path / "runs")
    _, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2
    assert f"is in use by another process (pid {first.pid})" in errors.decode()
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_requests_of_another_recipes_dead_run_are_lost_and_those_of_a_living_one_left(
    recipe: Path, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path / "runs")
    with Journal.open(workspace.ledger) as journal:
        for name in ("dead", "gone", "living"):
            journal.reserve(
                f"r1-{name}",
                900,
                price_of("gpt-4o-mini", date(2026, 11, 21)),
                Caps(),
                recipe=name,
                run="monday",
                stage="generate",
            ).result()
        (workspace.of("dead")).mkdir()
        with held(workspace.of("living") / ".lock", "living"):
            run_toy(recipe, workspace.root)
        said = " ".join(capsys.readouterr().err.split())
        assert (
            "2 requests of other recipes were in flight when their runs died (dead, gone); they count as lost"
            in said
        )
        assert [
            (journal.totals(name).lost, journal.totals(name).open)
            for name in ("dead", "gone", "living")
        ] == [(900, 0), (900, 0), (0, 900)]
