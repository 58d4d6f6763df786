from __future__ import annotations

from pathlib import Path

import pytest

YAML = """# a toy
sow:
  count: 4
reap:
sell:
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(YAML)
    return path


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "counts"
    path.touch()
    monkeypatch.setenv("TOY_COUNTS", str(path))
    return path
