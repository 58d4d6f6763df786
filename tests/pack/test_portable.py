"""A recipe that was packed is the same recipe, whatever it names and however it was spread."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.pack.relocate import portable, same_recipe
from alpaca_pipe.recipe.schema import load_recipe
from tests.road.drive import RECIPE

ROWS = '{"instruction": "Name a colour.", "input": "", "output": "Blue."}\n'


def documents(folder: Path) -> Path:
    (folder / "hand outs" / "more").mkdir(parents=True)
    (folder / "hand outs" / "a.md").write_text("# Cats\n\nFeed it twice a day.\n")
    (folder / "hand outs" / "more" / "b.txt").write_text("Brush it.\n")
    (folder / "hand outs" / ".env").write_text("KEY=1")
    return folder / "hand outs"


def moved(text: str, files: dict[str, Path], folder: Path) -> Path:
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
    (folder / "other name.yaml").write_text(text)
    return folder / "other name.yaml"


RECIPES = sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe(name: str, tmp_path: Path) -> None:
    more = [f"generate.documents='{documents(tmp_path)}'"] if name == "domain" else []
    recipe = load_recipe(name, CATALOG, more)
    copy = portable(recipe)
    (tmp_path / "there").mkdir()
    again = load_recipe(str(moved(copy.text, dict(copy.files), tmp_path / "there")), CATALOG)
    assert same_recipe(recipe, again) == "" and again.name == recipe.name
    assert portable(again).text == copy.text  # packed again, from there
    assert str(tmp_path) not in copy.text and not any(".env" in file for file in copy.files)


@pytest.mark.parametrize(
    "more",
    [
        ["curate.filters=stanford", "curate.likeness=0.65"],
        ["curate.filters={max_words: {most: 70}, language: de, refusal: false}"],
        ["curate.contamination=[rows.jsonl, hub:owner/name:test]"],
        ["curate.contamination={sets: [rows.jsonl], ngram: 9}"],
        ["no generate", "curate.from=rows.jsonl", "curate.duplicates={on: instruction}"],
        ["no generate", "curate.from=hub:owner/name"],
        ["generate.style=documents", "generate.documents=[hand outs, rows.jsonl]"],
        ["generate.style=evol", "generate.rows=rows.jsonl", "generate.depth=2"],
        ["generate.extend=rows.jsonl"],
        ["generate.style=two-step"],
        ["generate.style=alpaca-2023", "teacher.dialect=completions"],
        [
            "gpu={name: H200, per_hour: 3.5, lease_start: 2026-11-21T08:00:00Z}",
            "budget={total: 1e-3, api: 5, go_on: true}",
        ],
        [
            "teacher={kind: openai_chat, model: m, price: {in: 0.15, out: 0.6}, ca_file: ca.pem, extra_body: {top_k: 5}}"
        ],
        ["teacher={kind: local_server, model: small.gguf}"],
        ["base={model: tiny, tokenizer: words}"],
        ["base={model: weights}"],
        ["train.lora={r: 4, target_modules: [q_proj]}", "train.learning_rate=1e-5", "seed=7"],
    ],
)
def test_whatever_it_says(more: list[str], tmp_path: Path) -> None:
    documents(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "small.gguf").write_bytes(b"GGUF" + bytes(64))
    for name in ("words", "weights"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "tokenizer.json", "model.safetensors"):
            (tmp_path / name / file).write_text("{}")
    without = "no generate" in more
    (tmp_path / "road.yaml").write_text(
        RECIPE.replace(
            "generate:\n  count: 40\n  round_size: 8\n",
            "" if without else "generate:\n  count: 40\n",
        )
    )
    try:
        recipe = load_recipe(str(tmp_path / "road.yaml"), CATALOG, more[without:])
    except UserError as error:
        pytest.fail(f"the test's own recipe: {error}")
    copy = portable(recipe)
    (tmp_path / "there").mkdir()
    again = load_recipe(str(moved(copy.text, dict(copy.files), tmp_path / "there")), CATALOG)
    assert same_recipe(recipe, again) == ""
    assert str(tmp_path) not in copy.text


def test_a_difference_is_seen(tmp_path: Path) -> None:
    (tmp_path / "road.yaml").write_text(RECIPE)
    recipe = load_recipe(str(tmp_path / "road.yaml"), CATALOG)
    for other, table in (
        ("curate.likeness=0.65", "curate"),
        ("budget.api=5", "budget"),
        ("seed=1", "seed"),
        ("teacher.concurrency=5", "teacher"),
    ):
        assert (
            same_recipe(recipe, load_recipe(str(tmp_path / "road.yaml"), CATALOG, [other])) == table
        )


def test_a_private_key_stays(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    (tmp_path / "road.yaml").write_text(RECIPE)
    recipe = load_recipe(
        str(tmp_path / "road.yaml"),
        CATALOG,
        ["teacher={kind: openai_chat, model: m, price: free, ca_file: ca.pem}"],
    )
    with pytest.raises(
        UserError, match="ca.pem holds what looks like a key, and no key leaves this machine"
    ):
        portable(recipe)


def test_a_key_in_a_document_stays_and_the_use_goes_along(tmp_path: Path) -> None:
    text = "use: commercial\n" + RECIPE.replace(
        "generate:\n", "generate:\n  style: documents\n  documents: [notes]\n"
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The clinic opens at eight.\n")
    (tmp_path / "road.yaml").write_text(text)
    recipe = load_recipe(str(tmp_path / "road.yaml"), CATALOG)
    assert "use: commercial" in portable(recipe).text
    (tmp_path / "notes" / "a.md").write_text("OPENAI_API_KEY=sk-proj-abcd1234efgh5678ijkl9012\n")
    with pytest.raises(UserError, match="a.md holds what looks like a key"):
        portable(load_recipe(str(tmp_path / "road.yaml"), CATALOG))
