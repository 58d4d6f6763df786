"""The manual: its generated pages are those of today's code, its commands exist, its recipes load, and it builds strictly."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.recipe.schema import load_recipe
from tools.reference import FOLDER, PAGES

DOCS = FOLDER.parent
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}


def named(command: Any, before: str = "") -> Iterator[str]:
    for name, inner in getattr(command, "commands", {}).items():
        yield f"{before}{name}"
        yield from named(inner, f"{before}{name} ")


COMMANDS = set(named(typer.main.get_command(app)))


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_that_of_todays_code(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page](), (
        "run `make docs`, or `python -m tools.reference`"
    )


def test_every_command_is_in_the_reference_and_every_key_says_what_it_does() -> None:
    for command in COMMANDS:
        assert f"`alpaca-pipe {command}`" in PAGES["commands.md"]()
    rows = [line for line in PAGES["recipes.md"]().splitlines() if re.match(r"\| `\w+` \|", line)]
    silent = [
        line
        for line in rows
        if re.search(r"\| (\*knob\*)?\s*\|$", line) and not re.search(r"\| (on|off) \|", line)
    ]
    assert len(rows) > 100 and not [line.split("`")[1] for line in silent], (
        "give these a description"
    )


def code_of(text: str) -> list[str]:
    """What a page says in code: its blocks of shell, and pieces of a line."""
    return [
        *re.findall(r"```sh\n.*?```", text, flags=re.DOTALL),
        *re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)),
    ]


def test_the_manual_names_only_commands_that_there_are() -> None:
    known = {command.split()[0] for command in COMMANDS}
    said = {
        (page, word)
        for page, text in TEXTS.items()
        for code in code_of(text)
        for word in re.findall(r"alpaca-pipe ([a-z][a-z-]*)", code)
    }
    assert said and not {(page, word) for page, word in said if word not in known}


def test_the_manual_names_only_options_that_there_are() -> None:
    """Of the command before them: `alpaca-pipe rows vet --sample 20`."""
    group = typer.main.get_command(app)
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found, wrong = 0, []
    for page, text in {**TEXTS, "README.md": readme}.items():
        for call in (
            call
            for code in code_of(text)
            for call in re.findall(r"alpaca-pipe ((?:[^`\n#;|]|\(.*?\))+)", code)
        ):
            command, words = group, call.split()
            while words and (inner := getattr(command, "commands", {}).get(words[0])):
                command, words = inner, words[1:]
            below = [
                command,
                *getattr(command, "commands", {}).values(),
            ]  # `ledger --by model` is `ledger show --by model`
            known = {name for one in below for option in one.params for name in option.opts} | {
                "-q",
                "-v",
                "--debug",
                "--help",
            }
            options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
            found += len(options)
            wrong += [(page, call.strip(), option) for option in options if option not in known]
    assert found > 50 and not wrong


def test_the_recipes_of_the_page_for_beginners_load(tmp_path: Path) -> None:
    recipes = re.findall(r"```yaml\n(.*?)```", TEXTS["own-data.md"], flags=re.DOTALL)
    assert len(recipes) == 2 and all(len(text.splitlines()) <= 10 for text in recipes)
    (tmp_path / "documents").mkdir()
    (tmp_path / "support_tickets.csv").write_text("instruction,output\nName a herb.,Thyme.\n")
    for number, text in enumerate(recipes):
        (tmp_path / f"{number}.yaml").write_text(text)
        assert set(load_recipe(str(tmp_path / f"{number}.yaml"), CATALOG).stages) >= {
            "curate",
            "train",
            "evaluate",
            "export",
        }


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(DOCS.parent / "zensical.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {
        path.relative_to(tmp_path / "site").as_posix()
        for path in (tmp_path / "site").rglob("*.html")
    }
    assert {name.replace(".md", ".html") for name in TEXTS} | {
        "reference/commands.html",
        "reference/recipes.html",
    } <= pages
    nav = (tmp_path / "zensical.toml").read_text()
    assert all(f'"{name}"' in nav for name in TEXTS)


def test_the_manual_keeps_to_the_words_of_the_architecture() -> None:
    """One word, one idea, and words that a second-language reader knows: the left ones were in use once."""
    instead = {
        r"objections?": "filter",
        r"beliefs?|believed": "estimate",
        r"for nothing": "free",
        r"by hand": "manual",
        r"with its cure": "with what to do",
    }
    pages = {**TEXTS, **{page: PAGES[page]() for page in PAGES}}
    for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"):
        pages[name] = (DOCS.parent / name).read_text(encoding="utf-8")
    found = [
        (page, match[0], word)
        for page, text in pages.items()
        for old, word in instead.items()
        for match in re.finditer(rf"\b({old})\b", text, re.IGNORECASE)
    ]
    assert not found, "say the last word of each instead"
