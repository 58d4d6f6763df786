"""The road of two machines with real processes: data made here, tuned there by another user in another place, one set of books."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.files import read_json
from tests.command import command
from tests.road.drive import RECIPE

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
GPU = "gpu: {per_hour: 36}\nbudget: {api: 1, gpu: 40, total: 40.5}\n"
SHORT = (
    RECIPE.replace("count: 40", "count: 16")
    .replace("held_out: 16", "held_out: 4")
    .split("evaluate:")[0]
    + GPU
)


@dataclass(frozen=True)
class Machine:
    """A folder, a user with a home of its own, and nothing else."""

    folder: Path
    user: str | None = None
    python: str = sys.executable

    def __call__(self, *arguments: str, code: int = 0) -> str:
        home = self.folder / "home of mine"
        if self.user is None:
            said = command(*arguments, cwd=self.folder, HOME=str(home), USER="anna")
            assert said.code == code, f"{arguments}: exit {said.code}\n{said.out}{said.err}"
            return said.out + said.err
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ALPACA", "XDG", "HOME"))
        }
        done = subprocess.run(
            [self.python, "-B", "-m", "alpaca_pipe", *arguments],
            cwd=self.folder,
            user=self.user,
            text=True,
            check=False,
            group=pwd.getpwnam(self.user).pw_gid,
            extra_groups=[],
            capture_output=True,
            timeout=280,
            env=env
            | {
                "HOME": str(home),
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": PATH,
                "USER": self.user,
                "ALPACA_PIPE_PRICES": os.devnull,
            },
        )
        assert done.returncode == code, (
            f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def books(self, *more: str) -> dict[str, Any]:
        books: dict[str, Any] = json.loads(self("ledger", "road", "--json", *more))
        return books


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Outside of pytest's own folder, where no other user may look."""
    folder = Path(tempfile.mkdtemp(prefix="two machines "))
    folder.chmod(0o755)
    for name in ("laptop", "rented box"):
        (folder / name / "home of mine").mkdir(parents=True)
    python = next(
        filter(_can_run, (os.environ.get("OTHER_PYTHON", ""), sys.executable, "/usr/bin/python3")),
        None,
    )
    other = "nobody" if python else None
    if other:
        for path in ((folder / "rented box"), (folder / "rented box" / "home of mine")):
            os.chown(path, pwd.getpwnam(other).pw_uid, pwd.getpwnam(other).pw_gid)
    yield (
        Machine(folder / "laptop"),
        Machine(folder / "rented box", other, python or sys.executable),
    )
    shutil.rmtree(folder)


def _can_run(python: str) -> bool:
    """Whether another user may run this checkout with an interpreter; a system's own may be of another version than ours."""
    if os.geteuid() != 0 or not python:
        return False
    try:
        return (
            subprocess.run(
                [python, "-B", "-c", "import alpaca_pipe.catalog, pyarrow"],
                cwd="/",
                user="nobody",
                check=False,
                capture_output=True,
                env={"PYTHONPATH": PATH},
            ).returncode
            == 0
        )
    except OSError:
        return False


def sent(file: str, of: Machine, to: Machine) -> None:
    shutil.copyfile(of.folder / file, to.folder / file)


@pytest.mark.slow  # tests/week goes the same road, as one user
def test_data_made_on_a_laptop_trained_on_a_rented_machine(
    machines: tuple[Machine, Machine],
) -> None:
    laptop, box = machines
    (laptop.folder / "road.yaml").write_text(SHORT)
    laptop("run", "road", "--until", "curate")
    made = laptop.books()["total"]["nanodollars"]["settled"]
    said = laptop("pack", "road", "--for", "train", "--share", "30")
    assert "$30.00 for the machine, reserved here until its results are unpacked" in said
    assert (
        laptop.books()["total"]["nanodollars"] | {"lent": 30_000_000_000}
        == laptop.books()["total"]["nanodollars"]
    )
    refused = laptop(
        "pack", "road", "--for", "train", "--share", "10.01", "-o", "b.tar.zst", code=2
    )
    assert re.search(  # less what the laptop's own seconds cost
        r"a share of \$10\.01 does not fit: \$(10\.00|9\.\d\d) is left of budget\.gpu \(\$40\.00\), "
        r"\$30\.00 is lent already",
        refused,
    )
    sent("road.tar.zst", laptop, box)

    assert "up to date here: generate, curate" in box("unpack", "road.tar.zst")
    planned = json.loads(box("plan", "road", "--json"))
    print(
        f"as user {box.user or 'anna'}: {[(step['stage'], step['verdict']) for step in planned['steps']]}"
    )
    assert [step["verdict"] for step in planned["steps"]] == ["up to date", "up to date", "run"]
    dear = box("run", "road", "gpu.per_hour=3600000", "budget={api: 1}", code=2)
    assert (
        "$30.00 is left of share.gpu ($30.00) - pack a larger share where the recipe came from"
        in dear
    )
    assert "train     run" in box("run", "road")
    there = box.books()["total"]["nanodollars"]["settled"]
    assert there > 0
    box("pack", "road", "--only", "results")
    closed = box("run", "road", "train.max_steps=5", code=2)
    assert "share.gpu" in closed
    sent("road-results.tar.zst", box, laptop)

    assert "entries added to the books" in laptop("unpack", "road-results.tar.zst")
    books = laptop.books("--by", "machine")
    assert (
        books["total"]["nanodollars"] | {"settled": made + there, "lent": 0, "open": 0, "lost": 0}
        == books["total"]["nanodollars"]
    )
    assert {line["nanodollars"]["settled"] for line in books["lines"]} == {made, there}
    assert "nothing changed" in laptop("unpack", "road-results.tar.zst")
    assert laptop.books("--by", "machine") == books
    assert laptop("run", "road").count("up to date") == 3
    assert len(laptop("history", "road").splitlines()) == 3  # made here; refused there; tuned there
    _nothing_of_the_machine(laptop, box)


def _nothing_of_the_machine(*machines: Machine) -> None:
    """What decides whether a step is up to date holds no path, user, host or version of Python."""
    import platform

    strange = [str(machine.folder) for machine in machines] + [
        platform.python_version(),
        platform.node() or "?",
        sys.executable,
        f"python{sys.version_info.major}.{sys.version_info.minor}",
        "home of mine",
    ]
    for machine in machines:
        for file in (machine.folder / "runs/store").glob("*/stage.json"):
            assert set(read_json(file)) == {"kind", "version", "config", "uses", "inputs"}
            assert not [word for word in strange if word in file.read_text()]
