"""A workspace in which a tiny LLaMA was tuned, merged and exported as GGUF: it answers `AAAA 7` with `one two`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alpaca_pipe.export.gguf.build import ggufs
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny
from tests.chat.conftest import CONFIG, RUN, history
from tests.evaluate.conftest import rows, tune
from tests.once import once


@pytest.fixture(scope="session")
def letters() -> Path:
    """The workspace. Read it, never write into it."""
    pytest.importorskip("xllamacpp")
    return once("letters-with-gguf", _export) / "runs"


def _export(home: Path) -> None:
    (home / "base").mkdir(parents=True)
    build_tiny(home / "base")
    exported = home / "runs" / "store" / "export-1"
    tune(home / "base", rows(0, 48), exported / "merged")
    merged = exported / "merged"
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
    ggufs(merged, exported / "gguf", home, ["q8_0", "f16"], encoder, rows(0, 4), lambda said: None)
    history(
        home / "runs",
        (RUN, {"export": "export-1"}),
        config={**CONFIG, "base": {"model": str(home / "base")}},
    )


@pytest.fixture
def workspace(letters: Path, tmp_path: Path) -> Path:
    """One of the test's own, on the same exported files."""
    (tmp_path / "runs" / "store").mkdir(parents=True)
    (tmp_path / "runs" / "store" / "export-1").symlink_to(letters / "store" / "export-1")
    history(
        tmp_path / "runs",
        (RUN, {"export": "export-1"}),
        config={**CONFIG, "base": {"model": str(letters.parent / "base")}},
    )
    return tmp_path / "runs"


@contextmanager
def served(*words: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`alpaca-pipe serve` as a process of its own, on a free port: its address, and it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "alpaca_pipe", "serve", *words, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        yield address, process
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
        process.stderr.close()
