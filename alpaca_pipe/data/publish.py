"""Writes a dataset out so that anybody can read it without us: alpaca_data.json, JSONL, Parquet, conversations, and a
`datasets` folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.data.arrow import open_examples
from alpaca_pipe.data.conversation_forms import (
    alpaca_row,
    chatml_row,
    messages_row,
    openorca_row,
    sharegpt_row,
    stanford_row,
)
from alpaca_pipe.data.plain_parquet import published_row, write_parquet
from alpaca_pipe.data.source_kinds import Published, WrittenAs


def publish(
    folder: Path,
    rows: Path,
    splits: Mapping[str, Path],
    forms: Collection[Published],
    scratch: Path,
) -> dict[str, int]:
    """Writes `rows` (an examples.jsonl) and its `splits` (name -> part of it) into `folder`; answers rows per name.

    json: `alpaca_data.json`, all rows, exactly Stanford's shape and layout (three keys; `system` has no place in it;
    a conversation's earlier exchanges are its `history`, as LLaMA-Factory writes it).
    jsonl: `examples.jsonl`, all rows, with id, system and origin in flat columns.
    datasets: `data/<split>.parquet`, the same columns; the card (cards.py) names them for `load_dataset(folder)`.
    parquet: `examples.parquet`, all rows, the same columns. sharegpt: `sharegpt.json`, messages: `messages.jsonl`; both with
    the input below the instruction, a blank line between, and the system text as the first turn. openorca: `openorca.jsonl`.
    Arrow files are made below `scratch`; memory does not grow with the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = open_examples(rows, scratch)
    parts = {name: open_examples(path, scratch) for name, path in splits.items()}
    if "json" in forms:
        write_alpaca_json(folder / "alpaca_data.json", whole)
    if "jsonl" in forms:
        _write_jsonl(folder / "examples.jsonl", map(published_row, whole))
    if "parquet" in forms:
        write_parquet(folder / "examples.parquet", whole.__iter__)
    if "sharegpt" in forms:
        _write_list(folder / "sharegpt.json", map(sharegpt_row, whole))
    if "messages" in forms:
        _write_jsonl(folder / "messages.jsonl", map(messages_row, whole))
    if "openorca" in forms:
        _write_jsonl(folder / "openorca.jsonl", map(openorca_row, whole))
    if "datasets" in forms:
        (folder / "data").mkdir(exist_ok=True)
        for name, part in parts.items():
            write_parquet(folder / "data" / f"{name}.parquet", part.__iter__)
    return {"rows": len(whole)} | {name: len(part) for name, part in parts.items()}


AS: Mapping[WrittenAs, str] = {
    "alpaca": "alpaca_data.json",
    "messages": "messages.jsonl",
    "sharegpt": "sharegpt.json",
    "chatml": "chatml.jsonl",
    "parquet": "examples.parquet",
    "openorca": "openorca.jsonl",
}


def written_forms(text: str | None) -> tuple[WrittenAs, ...]:
    """`messages,parquet` as forms. Raises UserError for one that there is none of."""
    named = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for name in named:
        if name not in AS:
            raise UserError(f"--as: there is no form '{name}'", did_you_mean(name, AS))
    return tuple(form for form in AS if form in named)


def write_as(form: WrittenAs, path: Path, rows: Path) -> int:
    """Writes `rows` (an examples.jsonl) to `path` in the one form, row by row; answers how many answers lost their reasoning,
    for which alpaca and chatml have no place. Raises UserError where a row cannot be said in it; then there is no file."""

    def all_rows() -> Iterator[Example]:
        return map(Example.from_row, read_jsonl(rows))

    examples = all_rows()
    try:
        if form == "parquet":
            write_parquet(path, all_rows)
        elif form == "alpaca":
            _write_list(path, map(alpaca_row, examples))
        elif form == "sharegpt":
            _write_list(path, map(sharegpt_row, examples))
        else:
            rows_as = {"messages": messages_row, "chatml": chatml_row, "openorca": openorca_row}
            _write_jsonl(path, map(rows_as[form], examples))
    except UserError:
        path.unlink(missing_ok=True)
        raise
    if form not in ("alpaca", "chatml", "openorca"):
        return 0
    return sum(bool(said.reasoning) for one in all_rows() for said in one.messages)


def write_alpaca_json(path: Path, examples: Iterable[Example]) -> None:
    """The bytes that Stanford's `json.dump(rows, indent=4)` writes for these rows, one row in memory at a time."""
    _write_list(path, (stanford_row(example) for example in examples))


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
