"""A seed file as it is written to: rows are appended whole or not at all, and the rows of our template are known again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped, write_atomic
from alpaca_pipe.generate.seeds.seeds import Seed, SeedRow, delimiter_of, read_seeds

TEMPLATE = "template.csv"


def template() -> Path:
    """Ten rows, each with a comment that says what it stands for: what `init` begins with."""
    return shipped("seed_tasks") / TEMPLATE


def still_the_templates(seeds: Iterable[Seed]) -> list[Seed]:
    """Those that nobody has replaced or reworded yet."""
    return [seed for seed in seeds if seed.example.id in _template_ids()]


def append(file: Path, rows: Sequence[SeedRow]) -> None:
    """Adds rows to a JSONL or CSV file, which is replaced in one step; what it held stays as it is written, but for a CSV that
    lacks a column that is needed. Raises UserError for shipped seeds."""
    check_ours(file)
    text = file.read_bytes().decode() if file.exists() else ""
    end = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += end
    given = [{name: value for name, value in row.model_dump().items() if value} for row in rows]
    if file.suffix.lower() == ".csv":
        text = _in_csv(text, given, end)
    else:
        text += "".join(json.dumps(row, ensure_ascii=False) + end for row in given)
    write_atomic(file, text)


def check_ours(file: Path) -> None:
    """Raises UserError for shipped seeds: those are not the user's to add to."""
    if file.resolve().is_relative_to(shipped("seed_tasks").resolve()):
        raise UserError(
            f"{file.name}: these seed tasks are shipped, and not yours to add to",
            "write a file of your own and name it in the recipe: generate.seeds",
        )


def _in_csv(text: str, rows: Sequence[Mapping[str, Any]], end: str) -> str:
    plain = text.removeprefix("\ufeff")
    delimiter = delimiter_of(plain)
    old = csv.DictReader(io.StringIO(plain, newline=""), delimiter=delimiter)
    columns = list(old.fieldnames or SeedRow.model_fields)
    missing = [
        name
        for name in SeedRow.model_fields
        if name not in columns and any(name in row for row in rows)
    ]
    if not plain or missing:
        columns += missing
        return _lines([{name: name for name in columns}, *old, *rows], columns, delimiter, end)
    return text + _lines(rows, columns, delimiter, end)


def _lines(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], delimiter: str, end: str
) -> str:
    into = io.StringIO(newline="")
    writer = csv.DictWriter(into, columns, restval="", delimiter=delimiter, lineterminator=end)
    writer.writerows(
        {**row, "classification": "yes"} if row.get("classification") is True else row
        for row in rows
    )
    return into.getvalue()


@cache
def _template_ids() -> frozenset[str]:
    return frozenset(seed.example.id for seed in read_seeds(template()))
