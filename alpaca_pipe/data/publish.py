"""Writes a dataset out so that anybody can read it without us: alpaca_data.json, JSONL, and a `datasets` folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

from alpaca_pipe.core.example import Example
from alpaca_pipe.data.arrow import open_examples, stream, to_columns

Form = Literal["json", "jsonl", "datasets"]


def publish(folder: Path, rows: Path, splits: Mapping[str, Path], forms: Collection[Form], scratch: Path
            ) -> dict[str, int]:
    """Writes `rows` (an examples.jsonl) and its `splits` (name -> part of it) into `folder`; answers rows per name.

    json: `alpaca_data.json`, all rows, exactly Stanford's shape and layout (three keys; `system` has no place in it).
    jsonl: `examples.jsonl`, all rows, with id, system and origin in flat columns.
    datasets: `data/<split>.parquet`, the same columns; the card (cards.py) names them for `load_dataset(folder)`.
    Arrow files are made below `scratch`; memory does not grow with the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = open_examples(rows, scratch)
    parts = {name: open_examples(path, scratch) for name, path in splits.items()}
    if "json" in forms:
        write_alpaca_json(folder / "alpaca_data.json", stream(whole))
    if "jsonl" in forms:
        _write_jsonl(folder / "examples.jsonl", stream(whole))
    if "datasets" in forms:
        (folder / "data").mkdir(exist_ok=True)
        for name, part in parts.items():
            part.to_parquet(folder / "data" / f"{name}.parquet")
    return {"rows": len(whole)} | {name: len(part) for name, part in parts.items()}


def write_alpaca_json(path: Path, examples: Iterable[Example]) -> None:
    """The bytes that Stanford's `json.dump(rows, indent=4)` writes for these rows, one row in memory at a time."""
    with path.open("w", encoding="ascii", newline="\n") as out:
        before = "[\n    "
        for example in examples:
            row = {"instruction": example.instruction, "input": example.input, "output": example.output}
            out.write(before + json.dumps(row, indent=4).replace("\n", "\n    "))
            before = ",\n    "
        out.write("[]" if before[0] == "[" else "\n]")


def _write_jsonl(path: Path, examples: Iterable[Example]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for example in examples:
            out.write(json.dumps(to_columns(example), ensure_ascii=False) + "\n")
