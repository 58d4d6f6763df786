"""Rows in the shapes of public sets, tools and templates (public_shapes.jsonl, made-up content): what was said beforehand to be
read of each, or that it is refused or set aside; every cure that is printed is applied."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.data.reading import ReadingNotes, read
from alpaca_pipe.data.shapes.columns import Columns
from tests.data.cures import printed_columns

CASES: dict[str, dict[str, Any]] = {
    case["name"]: case
    for case in map(
        json.loads, Path(__file__).with_name("public_shapes.jsonl").open(encoding="utf-8")
    )
}


def written(path: Path, row: Any) -> Path:
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def shown(example: Example) -> dict[str, Any]:
    """An answer that is not learned stands in brackets."""
    said = [
        one.text if one.role != "assistant" or one.learned else f"({one.text})"
        for one in example.conversation()
    ]
    return {"system": example.system, "said": said}


@pytest.mark.parametrize("name", CASES)
def test_what_is_read(tmp_path: Path, name: str) -> None:
    case, aside = CASES[name], list[Rejected]()
    path = written(tmp_path / "rows.jsonl", case["row"])
    try:
        found = [shown(one) for one in read(path, aside=aside.append, told=ReadingNotes())]
    except UserError as error:
        assert case["wanted"] == "refused", error
        assert error.cure or " - " in str(error)
        return
    wanted = case["wanted"]
    if isinstance(wanted, str):
        assert [f"set aside: {one.rule}" for one in aside] == [wanted] and aside[0].reason
    else:
        assert found == wanted


# In a cell: what could as well be a text that somebody wrote, and what a CSV cannot say (null, a name that means nothing).
NOT_BY_CSV = {
    "p3 list", "wandb weave", "boolq", "bool output", "langfuse", "langsmith", "choices label dicts", "mc1", "null output", "list output",
    "object output", "list of two", "dpo output list", "instruction list", "human vs model", "hc3", "top dict instr",
    "responses only", "choice by a number that is a text", "choice true", "turns named in their texts",
    "turns of which one has a colon",
}  # fmt: skip


def as_cells(row: dict[str, Any]) -> bytes:
    """Lists and objects as JSON in a cell, null as nothing."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(row)
    table.writerow(
        "" if one is None else json.dumps(one) if isinstance(one, list | dict) else str(one)
        for one in row.values()
    )
    return out.getvalue().encode()


def as_arrow(row: dict[str, Any]) -> bytes:
    """Raises ArrowException for a row that Arrow's types cannot hold."""
    out = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist([row]), out)
    return bytes(out.getvalue())


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_in_other_forms_the_same_is_read(tmp_path: Path, form: str) -> None:
    """What JSONL gives, CSV with lists in its cells, Parquet and an indented list give too."""
    checked = 0
    for name, case in CASES.items():
        row, wanted = case["row"], case["wanted"]
        if not isinstance(row, dict) or (form == "csv" and name in NOT_BY_CSV):
            continue
        path = tmp_path / f"rows.{form}"
        try:
            made = as_cells(row) if form == "csv" else as_arrow(row) if form == "parquet" else None
        except pyarrow.ArrowException:
            continue
        path.write_bytes(made or json.dumps([row], indent=1).encode())
        aside: list[Rejected] = []
        try:
            got: Any = [shown(one) for one in read(path, aside=aside.append)]
        except UserError:
            got = "refused"
        assert (got or f"set aside: {aside[0].rule}") == wanted, name
        checked += 1
    assert checked > 400


REFUSED = [name for name, case in CASES.items() if case["wanted"] == "refused"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_cure_leads_to_rows(tmp_path: Path, name: str) -> None:
    """Step by step, as somebody would who does what is printed."""
    path = written(tmp_path / "rows.jsonl", CASES[name]["row"])
    named: dict[str, tuple[str, ...]] = {}
    for _ in range(6):
        aside: list[Rejected] = []
        try:
            found = list(read(path, columns=Columns.of(named), aside=aside.append))
        except UserError as error:
            said = str(error)
        else:
            assert found or aside
            return
        if not (cure := printed_columns(said)):
            return  # it is no row, and the sentence says how one is written
        for part, keys in Columns.parse(cure).items():
            named[part] = tuple(dict.fromkeys((*named.get(part, ()), *keys)))
    raise AssertionError(said)
