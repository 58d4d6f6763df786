"""Stanford's released rows, where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.core.example import Example
from tests.curate.released import released_rows


@pytest.fixture(scope="session")
def released(data: Path) -> list[Example]:
    return released_rows(data)
