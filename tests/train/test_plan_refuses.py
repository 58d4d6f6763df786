"""What only a run found out, said by the plan where that is cheap: columns, held-out rows, layers, processes, a missing GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.ledger.machine import detect
from tests.command import command, told

RECIPE = """base: {model: org/base-1b}
gpu: {per_hour: 0}
curate: {from: rows.jsonl, columns: {instruction: q, output: a}, held_out: 4}
train: {}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a GPU."""
    write_jsonl(tmp_path / "rows.jsonl", ({"q": f"what is {n}", "a": str(n)} for n in range(20)))
    (tmp_path / "tea.yaml").write_text(RECIPE)
    monkeypatch.setattr(detect, "gpus", tuple)
    return tmp_path


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("curate.columns={instruction: query, output: a}", "rows.jsonl has 'query'"),
        ("curate.held_out=20", "curate.held_out: 20 of 20 rows"),
        ("train.processes=100000", "train.processes: should be less than or equal to 128"),
        ("train.processes=128", "this machine has no GPU and"),
    ],
)
def test_a_plan_refuses_what_a_run_would(home: Path, override: str, sentence: str) -> None:
    if "processes=128" in override and (os.cpu_count() or 1) >= 128:
        pytest.skip("this machine has a core for each")
    said = command("plan", "tea", override, cwd=home)
    assert said.code == 2 and sentence in said.err
    assert "Traceback" not in said.err and not (home / "runs").exists()


def test_a_column_may_come_further_down(home: Path) -> None:
    rows = [{"q": "what", "a": "that"}] * 300 + [{"q": "what", "a": "that", "query": "x"}]
    write_jsonl(home / "rows.jsonl", rows)
    assert command("plan", "tea", "curate.columns.input=query", cwd=home).code == 0
    (home / "rows.jsonl").write_text("no JSON at all\n")
    assert command("plan", "tea", "curate.held_out=0", cwd=home).code == 0


def test_more_held_out_than_generated(home: Path) -> None:
    (home / "tea.yaml").write_text(
        "teacher: {kind: rehearsed, model: m, price: free}\ngenerate: {count: 30}\ncurate: {}\n"
    )
    said = command("plan", "tea", "curate.held_out=94", cwd=home)
    assert said.code == 2 and "of the 30 rows that generate.count asks for" in said.err
    # a round of 16 prompts for 4 tasks each is kept whole
    assert command("plan", "tea", "curate.held_out=93", cwd=home).code == 0


def test_a_layer_that_no_base_has_and_days_on_a_cpu_are_said(home: Path) -> None:
    out = " ".join(told("plan", "tea", "train.lora.target_modules=[qq_proj]", cwd=home).split())
    assert "has a linear layer 'qq_proj': did you mean 'q_proj'?" in out
    plain = " ".join(told("plan", "local-teacher", cwd=home).split())
    assert "no GPU is found here and none is named, so this is what 2 CPU cores would take" in plain
    named = " ".join(told("plan", "local-teacher", "gpu.name=H200", cwd=home).split())
    assert "2 CPU cores" not in named


def test_a_style_of_several_turns_under_a_template_of_one(home: Path) -> None:
    text = (
        "teacher: {kind: rehearsed, model: m, price: free}\ngenerate: {count: 300, style: react}\n"
    )
    (home / "tea.yaml").write_text(
        text + RECIPE.replace("from: rows.jsonl, columns: {instruction: q, output: a}, ", "")
    )
    said = command("plan", "tea", cwd=home)
    assert said.code == 2 and "template alpaca holds one exchange" in said.err
    assert command("plan", "tea", "train.template=chatml", cwd=home).code == 0
