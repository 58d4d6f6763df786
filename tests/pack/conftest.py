from __future__ import annotations

from pathlib import Path

import pytest

from tests.pack.places import Place


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine on which the first step is made."""
    monkeypatch.setenv("TOY_COUNTS", str(tmp_path / "counts"))
    place = Place.home(tmp_path / "home")
    place.run(until="sow")
    return place


@pytest.fixture
def away(tmp_path: Path) -> Place:
    return Place.away(tmp_path / "away")
