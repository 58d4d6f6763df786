"""The published dataset: what came in comes out, and `datasets` alone reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.core.example import Example, Origin, numbered
from alpaca_pipe.core.files import write_atomic, write_jsonl
from alpaca_pipe.data.arrow import open_examples
from alpaca_pipe.data.cards import dataset_card, teachers_of
from alpaca_pipe.data.publish import publish
from alpaca_pipe.data.reading import read

EXAMPLES = list(
    numbered(
        [
            Example.of(
                "Add.",
                "1\u20282",
                "3",
                Origin("generated", "r1-ab", ("e1-x", "e1-y"), {"score": 0.25, "place": "0/1"}),
            ),
            Example.of(
                "Say hi.", "", "Hi | there 😀", Origin("seed", "seeds.jsonl#1"), system="Be brief."
            ),
            Example.of("Add.", "1\u20282", "3", Origin("imported", "a.json#9")),
        ]
    )
)
READER = """
import datasets, json, sys
assert not [name for name in sys.modules if name.startswith("alpaca_pipe")]
found = datasets.load_dataset(sys.argv[1])
print(json.dumps({split: list(rows) for split, rows in found.items()}))
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "examples.jsonl", (example.to_row() for example in EXAMPLES))
    write_jsonl(tmp_path / "train.jsonl", (example.to_row() for example in EXAMPLES[:2]))
    write_jsonl(tmp_path / "held_out.jsonl", (example.to_row() for example in EXAMPLES[2:]))
    return tmp_path


def test_arrow_gives_the_same_examples_back(rows: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dataset = open_examples(rows / "examples.jsonl", rows / "cache")
    assert list(dataset) == EXAMPLES
    assert dataset.path.parent == rows / "cache" and len(dataset) == len(EXAMPLES)
    assert list(dataset.head(2)) == EXAMPLES[:2]
    assert capfd.readouterr() == ("", "")


def test_no_rows_are_a_dataset_too(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"")
    for _ in range(2):
        assert list(open_examples(tmp_path / "none.jsonl", tmp_path / "cache")) == []


def test_changed_rows_are_read_again(rows: Path) -> None:
    open_examples(rows / "examples.jsonl", rows / "cache")
    write_jsonl(rows / "examples.jsonl", (example.to_row() for example in EXAMPLES[:1]))
    assert list(open_examples(rows / "examples.jsonl", rows / "cache")) == EXAMPLES[:1]


def test_load_dataset_reads_it_without_us(rows: Path) -> None:
    out = rows / "dataset"
    counts = publish(
        out,
        rows / "examples.jsonl",
        {"train": rows / "train.jsonl", "test": rows / "held_out.jsonl"},
        ("json", "jsonl", "datasets"),
        rows / "cache",
    )
    assert counts == {"rows": 3, "train": 2, "test": 1}
    write_atomic(
        out / "README.md",
        dataset_card(
            counts, {"generated": 1}, "Teacher | 1", ("json", "jsonl", "datasets"), with_system=1
        ),
    )
    for cache in (out / "data" / ".cache", out / ".cache"):
        assert not cache.exists()
    done = subprocess.run(
        [sys.executable, "-c", READER, str(out)],
        cwd=rows,
        text=True,
        capture_output=True,
        check=False,
        env=os.environ | {"HF_HOME": str(rows / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [row["id"] for row in found["train"]] == [e.id for e in EXAMPLES[:2]]
    assert found["test"][0]["output"] == "3" and found["train"][0]["parents"] == ["e1-x", "e1-y"]
    assert json.loads(found["train"][0]["details"]) == {"place": "0/1", "score": 0.25}
    assert json.loads((out / "alpaca_data.json").read_text())[1] == {
        "instruction": "Say hi.",
        "input": "",
        "output": "Hi | there 😀",
    }
    lines = (out / "examples.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["system"] for line in lines[:-1]] == ["", "Be brief.", ""]


def test_only_the_wanted_forms_are_written(rows: Path) -> None:
    publish(
        rows / "out",
        rows / "examples.jsonl",
        {"train": rows / "train.jsonl"},
        ("json",),
        rows / "cache",
    )
    assert [path.name for path in (rows / "out").iterdir()] == ["alpaca_data.json"]


def test_the_card_names_whose_terms_bind() -> None:
    card = dataset_card(
        {"rows": 3, "train": 3}, {"generated": 2, "imported": 1}, "gpt-x | y", ("json",)
    )
    assert "written by gpt-x \\| y: the terms" in card and "imported rows keep the licence" in card
    assert "| teacher | gpt-x \\| y |" in card and "configs:" not in card


def test_conversations_and_parquet_come_back_as_they_were(rows: Path) -> None:
    publish(
        rows / "out",
        rows / "examples.jsonl",
        {},
        ("parquet", "sharegpt", "messages"),
        rows / "cache",
    )
    assert sorted(path.name for path in (rows / "out").iterdir()) == [
        "examples.parquet",
        "messages.jsonl",
        "sharegpt.json",
    ]
    wanted = [
        (one.system, f"{one.instruction}\n\n{one.input}".rstrip("\n"), one.output)
        for one in EXAMPLES
    ]
    for name in ("sharegpt.json", "messages.jsonl"):
        assert [
            (one.system, one.instruction, one.output) for one in read(rows / "out" / name)
        ] == wanted
    assert [(one.id, one.system, one.input) for one in read(rows / "out" / "examples.parquet")] == [
        (one.id, one.system, one.input) for one in EXAMPLES
    ]


def test_the_card_says_who_wrote_the_rows_and_under_which_terms() -> None:
    card = dataset_card(
        {"rows": 2},
        {"generated": 2},
        "gpt-4.1-nano-2025-04-14, somebody/own",
        ("json",),
        made_by="export-0123456789abcdef",
    )
    assert teachers_of(card) == ("gpt-4.1-nano-2025-04-14", "somebody/own")
    assert (
        "license: other" in card
        and "| hash of the recipe that made it | export-0123456789abcdef |" in card
    )
    assert "compete" in card and "openai.com" in card and "own (teacher): not in our table" in card
    assert teachers_of(dataset_card({"rows": 1}, {"imported": 1}, "", ("json",))) == ()
