"""The table of shapes in docs/own-data.md: every row in it is read, and becomes what the table says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.data.reading import read

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-data.md"
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8")
    .split("<!-- shapes -->")[1]
    .strip()
    .splitlines()[2:]
]


def told(example: Example) -> str:
    said = [f"system: {example.system}"] if example.system else []
    for one in example.conversation():
        text = f"{one.role}: " + " / ".join(filter(None, one.text.split("\n")))
        said.append(text if one.role != "assistant" or one.learned else f"({text})")
    return "; ".join(said)


def test_the_table_is_there() -> None:
    assert len(ROWS) > 12 and all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("shape, row, becomes", ROWS)
def test_a_row_of_the_manual(tmp_path: Path, shape: str, row: str, becomes: str) -> None:
    path, aside = tmp_path / "rows.jsonl", list[Rejected]()
    path.write_text(json.dumps(json.loads(row.strip("`"))) + "\n", encoding="utf-8")
    try:
        found = [told(one) for one in read(path, aside=aside.append)]
    except UserError as error:
        cure = re.search(r"`(--columns [^`]+)`", becomes)
        assert becomes.startswith("refused") and cure and cure[1] in str(error)
        return
    assert found == [becomes] if found else f"set aside: {aside[0].rule}" == becomes
