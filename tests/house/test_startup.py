"""What a command loads before it answers: a number of modules is the same on a busy machine, seconds are not.

Seconds beside what importing typer, rich and pydantic takes are in tests/bench/test_startup.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALL = """
import contextlib, io, json, sys
sys.argv = ["alpaca-pipe", *sys.argv[1:]]
from alpaca_pipe.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""
# What a person does not wait for: loaded when work begins that needs it.
LATER = (
    "asyncio",
    "rich",
    "sqlite3",
    "ssl",
    "logging",
    "ctypes",
    "openai",
    "numpy",
    "datasets",
    "torch",
)


@pytest.mark.parametrize(
    ("words", "ours", "all_"),
    [("--help", 25, 200), ("plan alpaca-52k", 210, 508), ("doctor", 194, 489)],
)
def test_it_loads_few_modules(words: str, ours: int, all_: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CALL, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": ""},
    )
    loaded = json.loads(done.stdout)
    assert not {name.partition(".")[0] for name in loaded} & set(LATER)
    own = [name for name in loaded if name.startswith("alpaca_pipe")]
    own = [name for name in own if not name.startswith("alpaca_pipe.curate.filters.")]  # any number
    assert 5 < len(own) <= ours, own
    assert len(loaded) <= all_, f"{len(loaded)} modules: {loaded}"
