"""A small workspace that was run once: two stages, a scripted teacher with a price."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.attack.commands import call

RECIPE = """name: small
teacher: {kind: rehearsed, model: gpt-4.1-nano, price: {in: 0.10, out: 0.40}}
generate: {count: 6, round_size: 4}
curate: {held_out: 1}
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.yaml and runs/; copy it before you change it."""
    home = tmp_path_factory.mktemp("made")
    (home / "small.yaml").write_text(RECIPE)
    before, cache = Path.cwd(), os.environ.get("ALPACA_PIPE_CACHE")
    os.chdir(home)
    os.environ["ALPACA_PIPE_CACHE"] = str(home / "cache")
    try:
        code, said = call("run", "small.yaml")
        assert code == 0, said
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ["ALPACA_PIPE_CACHE"]
        else:
            os.environ["ALPACA_PIPE_CACHE"] = cache
    return home


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back where it was, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
