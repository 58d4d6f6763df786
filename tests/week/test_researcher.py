"""The researcher's week: own prompt, own filter, few passages, a sweep with seeds, one table as LaTeX. Real commands, real runs.

The lines build on each other, so they are tests in an order, over one folder.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.data.run_names import history
from tests.command import command, told

pytest.importorskip("trl")

NOTES = (
    "The clinic opens at eight in the morning and closes at six in the evening. Dogs are vaccinated on Mondays and cats on "
    "Tuesdays. A first visit costs forty euros, a second visit twenty. Doctor Meier looks after horses.\n\n"
    "Animals that had surgery stay for one night. Owners may call at nine to hear how they are. Food is given twice a day. Bring "
    "the vaccination card and the insurance papers, and come ten minutes early. Parking is behind the house.\n"
)
RECIPE = """teacher: {kind: rehearsed, model: gpt-4.1-nano}
budget: {api: 1}
base: {model: tiny}
gpu: {per_hour: 0}
generate: {count: 40, round_size: 8, prompt: mine.j2}
curate: {held_out: 12, filters: [mine.py:too_long]}
train: {max_steps: 2, max_length: 1500, control: none, lora: {r: 2}, template: mine.jinja}
evaluate: {samples: 0}
sweep:
  grid: {train.learning_rate: [1e-3, 1e-2]}
  seeds: [1, 2]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("researcher")
    (folder / "notes.md").write_text(NOTES)
    (folder / "mine.j2").write_text("{{ prompt }}\nNo task is about money.")
    (folder / "mine.py").write_text(
        "def too_long(row):\n    return 'long' if len(row['output']) > 400 else None\n\ndef broken(row):\n    return 7\n"
    )
    (folder / "mine.jinja").write_text(
        "Q: {{ instruction }}{% if input %} ({{ input }}){% endif %} A: {{ output }}"
    )
    (folder / "lab.yaml").write_text(RECIPE)
    (folder / "few.yaml").write_text(
        "teacher: {kind: rehearsed, model: gpt-4.1-nano}\n"
        "generate: {style: documents, documents: [notes.md], passage: 60, count: 256, round_size: 8}\n"
    )
    return folder


def test_few_passages_promise_little_and_the_forecast_is_near_what_comes(lab: Path) -> None:
    done = command("run", "few", cwd=lab)
    assert done.code == 0, done.err
    said = " ".join((done.err + done.out).split())
    first = said.partition("forecast after 24 prompts")[2].partition("forecast again")[0]
    found = re.search(
        r"2 passages mostly give no more than about (\d+) rows, and 256 are wanted", first
    )
    assert found, said
    (rows,) = (lab / "runs" / "store").glob("generate-*/examples.jsonl")
    assert sum(1 for _ in read_jsonl(rows)) <= int(found[1]) < 512


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("curate.filters=[mine.py:broken]", "mine.py:broken answered 7"),
        ("generate.prompt=nowhere.j2", "no such file"),
        ("train.template=chatlm", "chatml"),
        ("sweep.grid={train.lerning_rate: [1]}", "lerning_rate"),
    ],
)
def test_what_is_wrong_with_an_own_piece_is_a_sentence(lab: Path, change: str, said: str) -> None:
    done = command("run", "lab", "--until", "curate", change, cwd=lab)
    assert done.code == 2 and said in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err


def test_the_sweep_makes_the_rows_once_and_each_point_its_tune(lab: Path) -> None:
    done = command("run", "lab", cwd=lab)
    assert done.code == 0, done.err
    finished = [run for run in history(lab / "runs", "lab") if run["outcome"] == "done"]
    tunes = {run["steps"]["train"] for run in finished if "train" in run["steps"]}
    rows = {run["steps"]["generate"] for run in finished}
    assert len(tunes) == 4 and len(rows) == 1


def test_one_table_as_latex_and_nothing_is_bought_twice(lab: Path) -> None:
    table = told("compare", "lab", "--format", "latex", cwd=lab)
    assert r"\begin{tabular}" in table and r"\pm" in table
    spent = json.loads(told("ledger", "show", "lab", "--json", cwd=lab))["total"]["nanodollars"]
    assert command("run", "lab", cwd=lab).code == 0
    assert (
        json.loads(told("ledger", "show", "lab", "--json", cwd=lab))["total"]["nanodollars"]
        == spent
    )


def test_a_changed_filter_asks_nothing(lab: Path) -> None:
    (lab / "mine.py").write_text(
        "def too_long(row):\n    return 'long' if len(row['output']) > 300 else None\n"
    )
    before = len(list((lab / "runs" / "store").glob("generate-*")))
    assert command("run", "lab", "--until", "curate", cwd=lab).code == 0
    assert len(list((lab / "runs" / "store").glob("generate-*"))) == before
