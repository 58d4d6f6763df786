"""ARCHITECTURE, README and the pages beside them hold what is on the disk: the tree, the commands, the recipes, where things are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.schema import load_recipe

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "alpaca_pipe"
README, ARCHITECTURE = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md")
)
COMMANDS_PAGE, RECIPES_PAGE = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("commands.md", "recipes.md")
)
COMMANDS = sorted(name for name in typer.main.get_command(app).commands)  # type: ignore[attr-defined]
WHERE = re.findall(
    r"^\| (\d+) \| (.+?) \| `(.+?)` \| `(.+?)` \| (.+?) \|$",
    ARCHITECTURE.split("<!-- where -->")[1],
    flags=re.MULTILINE,
)


def test_the_tree_of_the_architecture_is_the_tree_on_the_disk() -> None:
    tree = ARCHITECTURE.split("<!-- tree -->")[1]
    named = set(re.findall(r"^  ([a-z_]+)(?:/|\.py)", tree, flags=re.MULTILINE))
    there = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert named == there


def test_25_questions_are_answered_and_most_at_the_first_guess() -> None:
    assert [int(number) for number, *_ in WHERE] == list(range(1, 26))
    assert sum(not guess.startswith("wrong") for *_, guess in WHERE) >= 22


@pytest.mark.parametrize(("question", "file", "name"), [row[1:4] for row in WHERE])
def test_what_is_asked_for_is_where_the_architecture_says(
    question: str, file: str, name: str
) -> None:
    assert name in (PACKAGE / file).read_text(encoding="utf-8"), question


@pytest.mark.parametrize(
    "page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    """In links, and in code: `curate/split.py`, `tests/house/`. A name with <...> or * stands for many."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = text.split("<!-- gone -->")[0]  # what stands below it is named because it is gone
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    code = re.findall(r"`([a-z_./]+(?:\.py|\.md|\.yaml|\.toml|/))`", text)
    made = ("runs/", "site/", ".venv/")  # by the commands
    missing = [
        name
        for name in [*links, *code]
        if "/" in name.rstrip("/")
        and not name.startswith(made)
        and not any((root / name).exists() for root in (ROOT, PACKAGE))
    ]
    assert links + code and not missing


def test_the_recipe_of_the_readme_loads_and_its_mistakes_are_told_as_it_says(
    tmp_path: Path,
) -> None:
    recipe = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)[0]
    (tmp_path / "documents").mkdir()
    (tmp_path / "vet.yaml").write_text(recipe)
    assert load_recipe(str(tmp_path / "vet.yaml"), CATALOG).stages["generate"].count == 300
    slip = recipe.replace("  held_out: 30", "  held_uot: 30\n  likeness: high")
    (tmp_path / "vet.yaml").write_text(slip)
    with pytest.raises(UserError) as error:
        load_recipe(str(tmp_path / "vet.yaml"), CATALOG)
    told = re.findall(r"^vet\.yaml:.*$", README, flags=re.MULTILINE)
    assert [line.split("/")[-1] for line in str(error.value).splitlines()] == told


def test_the_readme_fits_three_screens() -> None:
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_on_the_page_of_commands_and_has_help(command: str) -> None:
    assert f"alpaca-pipe {command}" in COMMANDS_PAGE
    entry = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert entry.help and entry.help.strip()


def test_every_recipe_is_on_the_page_of_recipes() -> None:
    for path in (ROOT / "recipes").glob("*.yaml"):
        assert f"`{path.stem}`" in RECIPES_PAGE, path


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
