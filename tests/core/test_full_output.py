"""Standard output that takes nothing more is not a full disk of the workspace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["recipes"], ["recipes", "--json"], ["plan", "quickstart"]])
def test_a_full_output_is_called_that(words: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "alpaca_pipe", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("what is printed cannot be written: no space left")
    assert len(done.stderr.splitlines()) == 1
