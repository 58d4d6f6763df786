"""Writes a dataset out so that anybody can read it without us: alpaca_data.json, JSONL, Parquet, conversations, and a
`datasets` folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.data.arrow import open_examples, stream, to_columns
from alpaca_pipe.data.source_kinds import Published


def publish(
    folder: Path,
    rows: Path,
    splits: Mapping[str, Path],
    forms: Collection[Published],
    scratch: Path,
) -> dict[str, int]:
    """Writes `rows` (an examples.jsonl) and its `splits` (name -> part of it) into `folder`; answers rows per name.

    json: `alpaca_data.json`, all rows, exactly Stanford's shape and layout (three keys; `system` has no place in it).
    jsonl: `examples.jsonl`, all rows, with id, system and origin in flat columns.
    datasets: `data/<split>.parquet`, the same columns; the card (cards.py) names them for `load_dataset(folder)`.
    parquet: `examples.parquet`, all rows, the same columns. sharegpt: `sharegpt.json`, messages: `messages.jsonl`; both with
    the input below the instruction, a blank line between, and the system text as the first turn.
    Arrow files are made below `scratch`; memory does not grow with the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = open_examples(rows, scratch)
    parts = {name: open_examples(path, scratch) for name, path in splits.items()}
    if "json" in forms:
        write_alpaca_json(folder / "alpaca_data.json", stream(whole))
    if "jsonl" in forms:
        _write_jsonl(folder / "examples.jsonl", map(to_columns, stream(whole)))
    if "parquet" in forms:
        whole.to_parquet(folder / "examples.parquet")
    if "sharegpt" in forms:
        _write_list(folder / "sharegpt.json", map(_sharegpt, stream(whole)))
    if "messages" in forms:
        _write_jsonl(folder / "messages.jsonl", map(_messages, stream(whole)))
    if "datasets" in forms:
        (folder / "data").mkdir(exist_ok=True)
        for name, part in parts.items():
            part.to_parquet(folder / "data" / f"{name}.parquet")
    return {"rows": len(whole)} | {name: len(part) for name, part in parts.items()}


def write_alpaca_json(path: Path, examples: Iterable[Example]) -> None:
    """The bytes that Stanford's `json.dump(rows, indent=4)` writes for these rows, one row in memory at a time."""
    _write_list(
        path,
        (
            {"instruction": example.instruction, "input": example.input, "output": example.output}
            for example in examples
        ),
    )


def _write_list(path: Path, rows: Iterable[Any]) -> None:
    with path.open("w", encoding="ascii", newline="\n") as out:
        before = "[\n    "
        for row in rows:
            out.write(before + json.dumps(row, indent=4).replace("\n", "\n    "))
            before = ",\n    "
        out.write("[]" if before[0] == "[" else "\n]")


def _write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _said(example: Example) -> list[tuple[str, str]]:
    """(who, what) of each turn; the same text as a chat would hold."""
    asked = f"{example.instruction}\n\n{example.input}" if example.input else example.instruction
    system = [("system", example.system)] if example.system else []
    return [*system, ("user", asked), ("assistant", example.output)]


def _messages(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "messages": [{"role": who, "content": text} for who, text in _said(example)],
    }


def _sharegpt(example: Example) -> dict[str, Any]:
    names = {"user": "human", "assistant": "gpt"}
    return {
        "id": example.id,
        "conversations": [
            {"from": names.get(who, who), "value": text} for who, text in _said(example)
        ],
    }
