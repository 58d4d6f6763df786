"""A sweep: what points share is made once, a kill costs one point's work, a bad key costs nothing, and the table is arithmetic."""

from __future__ import annotations

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

from rich.console import Console

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl, write_jsonl
from alpaca_pipe.data.run_names import history
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.report.runs_table import _ALL, RunsTable, SettingLine, Spread, _in_latex
from alpaca_pipe.sweep import sweep_run
from alpaca_pipe.sweep.sweep_plan import PointRecipe, point_recipes
from alpaca_pipe.sweep.sweep_run import run_sweep
from tests.command import command, told
from tests.house.test_layers import ROOT
from tests.waiting import until

RECIPE = """base: {model: tiny}
gpu: {per_hour: 0}
curate: {from: rows.jsonl, held_out: 12, filters: none}
train: {max_steps: 2, max_length: 700, control: none, lora: {r: 2}}
evaluate: {samples: 0}
sweep:
  grid:
    train.learning_rate: [1e-3, 1e-2]
  seeds: [1, 2]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Name number {n}.", "output": f"It is {n * n}."} for n in range(40)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "tea.yaml").write_text(RECIPE)
    return tmp_path


def folders(home: Path, kind: str) -> list[Path]:
    return sorted((home / "runs" / "store").glob(f"{kind}-*"))


def test_killed_and_gone_on_with_each_step_is_made_once(home: Path) -> None:
    """A real process, killed once its first point is in the history."""
    process = subprocess.Popen(
        [sys.executable, "-m", "alpaca_pipe", "run", "tea"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    record = home / "runs" / "tea" / "sweep.json"
    until(record.exists, process)  # once its first point is there
    assert told("compare", "tea", "--format", "csv", cwd=home).count("\n") >= 2
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = [
        (path, (path / "done.json").read_bytes())
        for path in folders(home, "train")
        if (path / "done.json").exists()
    ]
    out = told("run", "tea", cwd=home)
    assert "point 1 of 4: learning_rate=0.001 train.seed=1: up to date" in out
    assert [(path, (path / "done.json").read_bytes()) for path, _ in first] == first and first
    assert [len(folders(home, kind)) for kind in ("curate", "train", "evaluate")] == [1, 4, 4]
    runs = history(home / "runs", "tea")
    assert len({json.dumps(run["steps"]) for run in runs if run["outcome"] == "done"}) == 4
    check_table(home)
    again = told("run", "tea", cwd=home)
    assert again.count(": up to date\n") == 4
    assert history(home / "runs", "tea") == runs


def check_table(home: Path) -> None:
    """Mean and deviation over seeds, from what evaluate sealed, by other code."""
    losses: dict[float, list[float]] = {}
    for run in history(home / "runs", "tea"):
        done = read_json(home / "runs" / "store" / run["steps"]["evaluate"] / "done.json")
        rate = run["config"]["train"]["learning_rate"]
        losses.setdefault(rate, []).append(done["summary"]["loss"]["tuned"]["mean"])
    with (home / "runs" / "tea" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["train.learning_rate"] for row in rows] == ["0.001", "0.01"]
    for row in rows:
        wanted = losses[float(row["train.learning_rate"])]
        assert row["seeds"] == "1 2" and len(wanted) == 2
        assert float(row["held-out loss mean"]) == pytest.approx(statistics.fmean(wanted))
        assert float(row["held-out loss deviation"]) == pytest.approx(statistics.stdev(wanted))
    markdown = (home / "runs" / "tea" / "sweep.md").read_text()
    assert told("compare", "tea", "--format", "markdown", cwd=home) == markdown
    assert markdown.count("\n") == 4 and " ± " in markdown
    latex = told("compare", "tea", "--format", "latex", cwd=home)
    assert latex.count(r"\\") == 3 and r"learning\_rate" in latex and r"$\pm$" in latex
    named = [f"tea@{place}" for place in (1, 2, 3)]
    found = json.loads(told("compare", *named, "--json", cwd=home))
    assert sorted(len(line["runs"]) for line in found) == [1, 2]
    assert "the recipe" in told("compare", "tea@1", "tea@2", cwd=home)


def test_the_plan_counts_what_points_share_once(home: Path) -> None:
    found = json.loads(told("plan", "tea", "--json", cwd=home))
    assert [list(one["steps"]) for one in found["points"]] == [
        ["curate", "train", "evaluate"],
        *[["train", "evaluate"]] * 3,
    ]
    fewer = json.loads(told("plan", "tea", "sweep.seeds=[1]", "--json", cwd=home))
    assert len(fewer["points"]) == 2
    assert fewer["minutes"][1] < found["minutes"][1] < 4 * fewer["minutes"][1]
    assert "4 points" in told("plan", "tea", cwd=home) and not (home / "runs").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "train.learning_rat: [1]",
            "tea.yaml:8: sweep: train.learning_rat: unknown key - did you mean 'learning_rate'?",
        ),
        ("train.learning_rate: [1e-3, fast]", "tea.yaml:8: sweep: train.learning_rate: "),
        (
            "train.max_steps: [2, 2]",
            "tea.yaml:8: sweep: the point max_steps=2 train.seed=1 is there twice",
        ),
        ("name: [a, b]", "tea.yaml:8: sweep: name is no key of a point"),
        ("train.max_steps: []", "train.max_steps has no values"),
        ("train.max_steps: 3", "sweep.grid.train.max_steps"),
    ],
)
def test_a_bad_point_is_one_sentence_and_costs_nothing(
    home: Path, line: str, sentence: str
) -> None:
    text = RECIPE.replace("train.learning_rate: [1e-3, 1e-2]", line)
    (home / "tea.yaml").write_text(text)
    for verb in ("plan", "run"):
        said = command(verb, "tea", cwd=home)
        assert said.code == 2 and sentence in said.err and "Traceback" not in said.err
        assert said.err.count("unknown key") <= 1, "once, not for each seed"
    assert not (home / "runs").exists()


def test_a_cap_that_does_not_hold_all_points_is_said_before_the_first(home: Path) -> None:
    said = command("run", "tea", "gpu.per_hour=40", "budget.gpu=0.02", cwd=home)
    assert said.code == 2 and "the sweep's 4 points will take about" in said.err
    assert not folders(home, "train")


def test_a_point_that_fails_does_not_end_the_others(home: Path) -> None:
    text = RECIPE.replace("[1e-3, 1e-2]", "[1e30, 1e-2]").replace("seeds: [1, 2]", "seeds: [1]")
    (home / "tea.yaml").write_text(text.replace("max_steps: 2", "max_steps: 4"))
    said = command("run", "tea", cwd=home)
    assert (
        said.code == 2
        and "1 of 2 points of the sweep failed: learning_rate=1e+30 train.seed=1" in said.err
    )
    assert "is not a number" in said.err
    assert len([path for path in folders(home, "evaluate") if (path / "done.json").exists()]) == 1
    assert len(list(read_jsonl(home / "runs" / "tea" / "history.jsonl"))) >= 1


def test_a_table_that_cannot_be_written_is_no_point_that_failed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each point is looked for once before it is run and once after, not again for every later one."""
    recipe = load_recipe(str(home / "tea.yaml"), CATALOG)
    points, ran = point_recipes(recipe, CATALOG, home / "runs", False), list[str]()
    looked = list[str]()

    def look(one: PointRecipe, *_: object) -> None:
        looked.append(one.point.label)

    def full(*_: object) -> None:
        raise UserError("the disk is full")

    def go_on() -> None:
        run_sweep(recipe, points, CATALOG, Workspace(home / "runs"), Console(quiet=True), carry_out)

    def carry_out(point: Recipe) -> None:
        ran.append(point.name)
        if len(ran) == 1:
            raise UserError("the loss is not a number")

    monkeypatch.setattr(sweep_run, "_run_of", look)
    (home / "runs" / "tea").mkdir(parents=True)
    with pytest.raises(UserError, match="1 of 4 points of the sweep failed"):
        go_on()
    assert len(ran) == 4 and len(looked) == 4 + 3
    monkeypatch.setattr(sweep_run, "_written", full)
    with pytest.raises(UserError, match=r"^the disk is full"):
        go_on()
    assert len(ran) == 5


def test_a_list_of_runs_beside_a_grid_and_a_point_is_a_recipe_without_a_sweep(home: Path) -> None:
    text = RECIPE.replace(
        "  seeds: [1, 2]", "  runs: [{train.lora.r: 4}, {train.method: full, train.max_steps: 1}]"
    )
    (home / "tea.yaml").write_text(text)
    recipe = load_recipe(str(home / "tea.yaml"), CATALOG)
    assert [one.label for one in recipe.sweep] == [
        "learning_rate=0.001 r=4",
        "learning_rate=0.001 method=full max_steps=1",
        "learning_rate=0.01 r=4",
        "learning_rate=0.01 method=full max_steps=1",
    ]
    point = load_recipe(str(home / "tea.yaml"), CATALOG, recipe.sweep[0].overrides, point=True)
    assert point.sweep == () and point.stages["train"].lora.r == 4  # type: ignore[attr-defined]


def test_a_seed_of_the_tune_leaves_the_rows_alone(home: Path) -> None:
    """Its identity has train.seed; curate's does not change."""
    one, other = (
        load_recipe(str(home / "tea.yaml"), CATALOG, [f"train.seed={seed}"], point=True)
        for seed in (1, 2)
    )
    assert one.seed == other.seed
    assert one.stages["curate"].identity() == other.stages["curate"].identity()
    assert one.stages["train"].hyper(7).seed == 1  # type: ignore[attr-defined]
    plain = load_recipe(str(home / "tea.yaml"), CATALOG, point=True).stages["train"]
    assert plain.hyper(7).seed == 7 and "seed" not in plain.identity()  # type: ignore[attr-defined]


def test_what_one_of_the_runs_was_measured_by_has_a_column() -> None:
    plain = dict.fromkeys(_ALL, None)
    judged = plain | {"judge prefers it": Spread(0.6, None)}
    lines = [SettingLine({}, (1,), figures, ("better",), ("a",)) for figures in (plain, judged)]
    alone, both = RunsTable((), (lines[0],)), RunsTable((), tuple(lines))
    assert "judge prefers it" not in alone.written("csv")
    assert both.measured[-1] == "judge prefers it" and "foreign minus base" not in both.measured
    assert both.written("markdown").splitlines()[-1].endswith("| 0.600 | 1 of 1 |")
    assert {line.count(",") for line in both.written("csv").splitlines()} == {14}


def test_a_spread_and_a_cell_of_latex() -> None:
    assert Spread(1.0, None).shown(2) == "1.00" and Spread(1.25, 0.5).shown(1, "+-") == "1.2+-0.5"
    assert _in_latex("a_b & 50% ± 1") == r"a\_b \& 50\% $\pm$ 1"


@pytest.mark.parametrize(
    "sweep",
    [
        "{grid: {train.seed: [1, 2]}, seeds: [3, 4]}",
        "{grid: {train.learning_rate: [1.0e-4]}, runs: [{train.learning_rate: 2.0e-4}]}",
    ],
)
def test_a_key_that_is_varied_twice_is_refused(tmp_path: Path, sweep: str) -> None:
    (tmp_path / "twice.yaml").write_text(
        f"base: {{model: tiny}}\ncurate: {{from: rows.jsonl}}\ntrain: {{}}\nsweep: {sweep}\n"
    )
    (tmp_path / "rows.jsonl").write_text('{"instruction": "a", "output": "b"}\n' * 40)
    from tests.command import command

    said = command("plan", "twice.yaml", cwd=tmp_path)
    assert said.code == 2 and "is varied twice" in said.err
