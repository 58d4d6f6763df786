"""The README's tree is the tree on the disk, every command is documented, and nothing names a machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from alpaca_pipe.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(name for name in typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_tree_in_the_readme_is_the_tree_on_the_disk() -> None:
    tree = README.split("<!-- tree -->")[1]
    named = set(re.findall(r"^  ([a-z_]+)(?:/|\.py)", tree, flags=re.MULTILINE))
    package = ROOT / "alpaca_pipe"
    there = {path.stem for path in package.iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert named == there


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(command: str) -> None:
    assert f"alpaca-pipe {command}" in README
    entry = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert entry.help and entry.help.strip()


def test_every_recipe_is_in_the_readme() -> None:
    for path in (ROOT / "recipes").glob("*.yaml"):
        assert path.stem in README, path


def test_head_comments_hold_the_command() -> None:
    for path in (ROOT / "recipes").glob("*.yaml"):
        head = path.read_text(encoding="utf-8").split("\n\n")[0]
        assert f"alpaca-pipe run {path.stem}" in head, path


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "quickstart"]])
def test_help_and_plan_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['alpaca-pipe', *{arguments!r}]\n"
        "from alpaca_pipe.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'openai', 'datasets', 'transformers', 'numpy', 'aiohttp', 'trl', 'peft'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
