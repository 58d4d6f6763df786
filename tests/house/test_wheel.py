"""The built wheel, installed alone in an empty folder, brings its recipes and seed tasks and runs from there."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_carries_recipes_and_seed_tasks(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("alpaca_pipe-*.whl"))
    home = tmp_path / "venv"
    # The libraries are those of this environment; only alpaca-pipe itself comes from the wheel.
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(site),
            str(wheel),
        ],
        check=True,
    )
    library = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "libraries.pth").write_text(library + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()

    def alpaca_pipe(*arguments: str) -> str:
        code = "import alpaca_pipe, sys; print(alpaca_pipe.__file__); from alpaca_pipe.cli import main; main()"
        done = subprocess.run(
            [str(home / "bin" / "python"), "-I", "-c", code, *arguments],
            cwd=empty,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert str(site) in done.stdout.splitlines()[0]
        return done.stdout

    assert "quickstart" in alpaca_pipe("recipes")
    assert "not run yet with this recipe" in alpaca_pipe("plan", "quickstart", "-v")
    assert "accepted" in alpaca_pipe("run", "quickstart", "--rehearse", "--until", "curate")
    code = "from alpaca_pipe import plan; print([step.verdict for step in plan('quickstart', rehearse=True).steps])"
    done = subprocess.run(
        [str(home / "bin" / "python"), "-I", "-c", code],
        cwd=empty,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['up to date', 'up to date', 'run'")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {
        "alpaca_pipe",
        wheel.name.split("-py3")[0] + ".dist-info",
    }  # no tests, tools or docs beside it
