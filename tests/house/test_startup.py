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
# What an environment loads into every Python before (a hook of setuptools, of an editable package) is not of the command.
CALL = """
import sys
before = {*sys.modules}
import contextlib, io, json
sys.argv = ["alpaca-pipe", *sys.argv[1:]]
from alpaca_pipe.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps(sorted({*sys.modules} - before)))
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


# Each published system at full size and in small: docs/published.md says a second.
SYSTEMS = (
    *("vicuna-7b", "orca-7b", "orca-7b-strong", "constitutional-7b", "rlhf-7b", "ligo-small"),
    *("vicuna-small", "orca-small", "orca-small-strong", "constitutional-small", "rlhf-small"),
)
SECONDS_TO_LOAD = {"asyncio", "openai", "numpy", "datasets", "torch", "transformers"}


@pytest.mark.parametrize(
    ("words", "ours", "all_"),
    [("--help", 25, 155), ("plan alpaca-52k", 197, 468), ("doctor", 180, 448)],
)
def test_it_loads_few_modules(words: str, ours: int, all_: int, tmp_path: Path) -> None:
    loaded = loaded_by(words, tmp_path)
    assert not {name.partition(".")[0] for name in loaded} & set(LATER)
    own = [name for name in loaded if name.startswith("alpaca_pipe")]
    own = [name for name in own if not name.startswith("alpaca_pipe.curate.filters.")]  # any number
    assert 5 < len(own) <= ours, own
    assert len(loaded) <= all_, f"{len(loaded)} modules: {loaded}"


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_plan_of_a_published_system_loads_nothing_that_takes_long(
    name: str, tmp_path: Path
) -> None:
    loaded = loaded_by(f"plan {name}", tmp_path)
    assert not {name.partition(".")[0] for name in loaded} & SECONDS_TO_LOAD
    assert len(loaded) <= 640, f"{len(loaded)} modules"


def loaded_by(words: str, home: Path) -> list[str]:
    """Names of all modules that are there after the command."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, *words.split()],
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(home), "PATH": ""},
    )
    names: list[str] = json.loads(done.stdout)
    return names
