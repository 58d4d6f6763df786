"""Stanford's released rows, read as the counts of the design notes were taken: in their order, each once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from alpaca_pipe.core.example import Example, Origin


def released_rows(data: Path) -> list[Example]:
    """Skips the test where they are not."""
    path = data / "alpaca_data.json.gz"
    if not path.is_file():
        pytest.skip(f"the released rows are not here: {path}")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [
            Example.of(
                row["instruction"],
                row["input"],
                row["output"],
                Origin("imported", f"alpaca#{line}"),
            )
            for line, row in enumerate(json.load(stream), 1)
        ]
