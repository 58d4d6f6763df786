"""`use:` from a recipe to its cards: refused, warned, accepted with its day, and answered in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_json, read_jsonl, shipped
from tests.command import command

RECIPE = """recipe_version: 1
use: {use}
base: {{model: huggyllama/llama-7b}}
curate: {{from: alpaca_data.json, held_out: 2}}
export: {{dataset: [json]}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = [
        {key: row.get(key, "") for key in ("instruction", "input", "output")}
        for row in list(read_jsonl(shipped("seed_tasks") / "short.jsonl"))[:12]
    ]
    (tmp_path / "alpaca_data.json").write_text(json.dumps(rows))
    return tmp_path


def alpaca(home: Path, *words: str, code: int = 0) -> str:
    said = command(*words, cwd=home)
    assert said.code == code, said.out + said.err
    return said.out + said.err


def test_what_a_licence_forbids_is_refused_until_it_is_accepted(home: Path) -> None:
    (home / "sell.yaml").write_text(RECIPE.format(use="commercial"))
    plan = alpaca(home, "plan", "sell.yaml", code=2)
    assert "sell: about" in plan  # the price is told all the same
    refusal = "use: commercial is forbidden by the terms of what this recipe brings in"
    assert (
        refusal in plan
        and "LLaMA 1" in plan
        and "CC BY-NC 4.0" in plan
        and "not legal advice" in plan
    )
    assert (
        refusal in alpaca(home, "run", "sell.yaml", code=2)
        and not (home / "runs" / "store").exists()
    )
    assert (
        json.loads(alpaca(home, "plan", "sell.yaml", "--json", code=2).split("\nuse: ")[0])[
            "terms"
        ]["answer"]
        == "no"
    )
    assert "is forbidden" not in alpaca(home, "plan", "sell.yaml", "use=research")
    said = alpaca(home, "run", "sell.yaml", "--i-accept-terms")
    assert "accepted on 20" in said
    lock, history = (
        read_json(home / "runs" / "sell" / "lock.json"),
        list(read_jsonl(home / "runs" / "sell" / "history.jsonl")),
    )
    for kept in (lock, history[-1]):
        assert kept["terms"]["accepted"]["use"] == "commercial"
        assert set(kept["terms"]["accepted"]["of"]) == {"huggyllama/llama-7b", "alpaca_data.json"}
    card = (home / "runs" / "store" / lock["steps"]["export"] / "dataset" / "README.md").read_text()
    assert "## May we sell it?" in card and "**No: at least one of them forbids it.**" in card
    assert "said on 20" in card and "commercial use of: " in card
    page = (home / "runs" / "sell" / "report.html").read_text()
    assert (
        "May we sell it?" in page
        and "for non-commercial research only" in page
        and "said on 20" in page
    )
    assert "up to date" in alpaca(
        home, "run", "sell.yaml"
    )  # the acceptance holds on, for this use and these names
    assert "is forbidden" in alpaca(home, "run", "sell.yaml", "use=internal", code=2)


def test_internal_use_is_told_what_to_ask_about_and_research_is_not_bothered(home: Path) -> None:
    (home / "own.yaml").write_text(
        RECIPE.format(use="internal").replace("huggyllama/llama-7b", "HuggingFaceTB/SmolLM2-135M")
    )
    assert (
        "terms: before internal use, ask about alpaca_data.json (data): CC BY-NC 4.0"
        in " ".join(alpaca(home, "plan", "own.yaml").split())
    )
    assert "terms:" not in alpaca(home, "plan", "own.yaml", "use=research")


def test_a_teachers_words_that_forbid_are_refused_before_anything_is_asked(home: Path) -> None:
    """The words stood in the recipe, and the card said "yes: as the recipe says: ... non-commercial research only"."""
    (home / "words.yaml").write_text(
        "recipe_version: 1\nuse: commercial\n"
        'teacher: {kind: openai_chat, model: own, base_url: "http://127.0.0.1:9/v1", price: free, api_key_env: null, '
        'terms: "CC BY-NC 4.0: non-commercial research only"}\n'
        "generate: {seeds: alpaca, count: 4}\n"
    )
    refusal = "own (teacher): as the recipe says: CC BY-NC 4.0: non-commercial research only"
    for verb in ("plan", "run"):
        assert refusal in " ".join(alpaca(home, verb, "words.yaml", code=2).split())
    assert not (home / "runs" / "store").exists()
    asked = alpaca(home, "plan", "words.yaml", "teacher.terms=contract of 2026-05")
    assert "before commercial use, ask about own (teacher): as the recipe says: contract" in (
        " ".join(asked.split())
    )
    assert "terms:" not in alpaca(home, "plan", "words.yaml", "teacher.terms=Apache-2.0")
