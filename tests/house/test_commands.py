"""Every command has help, and every one that prints facts takes --json and then prints JSON alone.

The rule: a command (or a group's command, as `ledger show`) stands in WITH_JSON with arguments that work in a small workspace, or in
WITHOUT_JSON with the reason. A new command fails this test until it has its line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from alpaca_pipe.cli import _tone_first, app
from alpaca_pipe.cli.assemble import app_for
from alpaca_pipe.core.files import read_json, read_jsonl, shipped

RECIPE = """# a small run
name: small
teacher: {kind: rehearsed, model: gpt-4.1-nano}
budget: {api: 1}
base: {model: tiny}
generate: {count: 12, round_size: 6}
curate: {held_out: 2}
train: {max_steps: 1, max_length: 512}
"""
WITH_JSON = {
    "run": ["small.yaml", "--until", "curate"],
    "plan": ["small.yaml"],
    "rows": ["small"],
    "trace": ["{id}"],
    "report": ["small"],
    "history": ["small"],
    "compare": ["small@1", "small@2"],
    "status": [],
    "verify": [],
    "gc": ["--dry-run"],
    "recipes": [],
    "seeds check": ["{seeds}"],
    "doctor": ["small.yaml"],
    "curate": ["rows.jsonl", "-o", "clean"],
    "prices": ["nano"],
    "claims": [],
    "show-mask": ["small.yaml"],
    "ledger show": ["small"],
    "ledger enter": ["small.yaml", "--minutes", "3"],
    "ledger pin-price": ["m", "--in", "1", "--out", "2"],
    "ledger reconcile": ["charges.csv"],
    "teachers check": ["small.yaml"],
    "teachers cancel": ["small.yaml"],
    "teachers compare": ["small.yaml", "gpt-4.1-nano", "gpt-4.1-mini", "--pilot", "2"],
    "similarity": ["rows.jsonl"],
    "pack": ["small.yaml", "--for", "train"],
    "ledger correct": None,
    "unpack": None,
    "chat": None,
    "schema": None,
}  # None: tried elsewhere, or JSON itself
WITHOUT_JSON = {
    "setup local": "it fetches, and says how far it is",
    "setup browser": "it fetches, and says how far it is",
    "setup onnx": "it fetches, and says how far it is",
    "init": "it names the files that it made, one a line",
    "migrate": "it shows a diff",
    "mcp": "it speaks JSON-RPC until its client leaves",
    "seeds draft": "a person answers it",
    "review": "a person answers it",
    "serve": "it answers with an address",
    "watch": "it answers with an address; `status --watch --json` is for programs",
    "push": "it answers with an address",
}


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """(name as it is typed, command) of everything that can be called."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        whole = f"{above}{name}"
        if hasattr(command, "commands"):
            yield from commands(command, f"{whole} ")
        else:
            yield whole, command


ALL = dict(commands())


def test_every_command_is_in_one_of_the_two_lists() -> None:
    assert set(ALL) == set(WITH_JSON) | set(WITHOUT_JSON) and not set(WITH_JSON) & set(WITHOUT_JSON)


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does_and_what_its_options_mean(name: str) -> None:
    command = ALL[name]
    assert command.help and command.help.strip().endswith("."), name
    takes_json = any("--json" in parameter.opts for parameter in command.params)
    assert takes_json == (name in WITH_JSON and name != "schema")
    done = CliRunner().invoke(app, [*name.split(), "--help"])
    assert done.exit_code == 0 and "Usage" in done.output


@pytest.mark.parametrize("name", ALL)
def test_a_command_alone_is_the_one_of_the_whole_app(name: str) -> None:
    alone, whole = (
        app_for(["-q", *name.split()]),
        CliRunner().invoke(app, [*name.split(), "--help"], prog_name="alpaca-pipe"),
    )
    assert (
        name in dict(commands(typer.main.get_command(alone)))
        and len(typer.main.get_command(alone).commands) == 1
    )  # type: ignore[attr-defined]
    assert (
        CliRunner().invoke(alone, [*name.split(), "--help"], prog_name="alpaca-pipe").output
        == whole.output
    )


@pytest.mark.parametrize("words", ([], ["--help"], ["--version"], ["no-such-command"], ["-q"]))
def test_whoever_names_no_command_gets_the_whole_app(words: list[str]) -> None:
    assert app_for(words) is app


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs."""
    home = tmp_path_factory.mktemp("commands")
    (home / "small.yaml").write_text(RECIPE)
    (home / "rows.jsonl").write_text(
        '{"instruction": "Name three rivers that flow into the North Sea.", "input": "", "output": "The Elbe, the Weser and the Rhine."}\n'
    )
    before = os.environ.get("ALPACA_PIPE_PRICES")
    os.environ["ALPACA_PIPE_PRICES"] = str(home / "prices.yaml")
    os.chdir(home)
    for count in ("12", "18"):
        done = CliRunner().invoke(
            app, ["-q", "run", "small.yaml", "--until", "curate", f"generate.count={count}"]
        )
        assert done.exit_code == 0, (done.output, done.exception)
    assert (
        CliRunner().invoke(app, ["ledger", "show", "small", "--focus", "charges.csv"]).exit_code
        == 0
    )
    yield home  # type: ignore[misc]
    os.environ["ALPACA_PIPE_PRICES"] = before or os.devnull


@pytest.mark.parametrize(
    "name", [name for name, arguments in WITH_JSON.items() if arguments is not None]
)
def test_json_is_alone_on_the_output(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    kept = home / "runs" / "store" / read_json(home / "runs/small/lock.json")["steps"]["curate"]
    example = next(iter(read_jsonl(kept / "examples.jsonl")))
    filled = {"{id}": example["id"], "{seeds}": str(shipped("seed_tasks") / "alpaca.jsonl")}
    arguments = [filled.get(word, word) for word in WITH_JSON[name] or ()]
    done = CliRunner().invoke(app, [*name.split(), *arguments, "--json"])
    assert done.exit_code in (0, 2) if name == "doctor" else done.exit_code == 0, (
        done.output,
        done.exception,
    )
    assert isinstance(json.loads(done.stdout), dict | list)


def test_quiet_and_verbose_may_stand_anywhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _tone_first(["run", "vet", "-q"]) == ["-q", "run", "vet"]
    assert _tone_first(["rows", "vet", "--grep", "-v"]) == ["rows", "vet", "--grep", "-v"]
    assert _tone_first(["run", "vet", "--rehearse", "-v", "--", "-q"]) == [
        "-v",
        "run",
        "vet",
        "--rehearse",
        "--",
        "-q",
    ]
    monkeypatch.chdir(home)
    quiet, usual, verbose = (
        CliRunner()
        .invoke(app, [*tone, "run", "small.yaml", "--until", "curate", f"generate.count={count}"])
        .output
        for tone, count in ((["-q"], 20), ([], 22), (["-v"], 90))
    )
    assert "accepted" in quiet and "  generate  " not in quiet and "  generate  " in usual
    assert "request r1-" not in usual and "request r1-" in verbose


@pytest.mark.parametrize(
    ("words", "current", "wanted"),
    [
        ("alpaca-pipe run alp", 2, "alpaca-52k-online"),
        ("alpaca-pipe run quickstart --until cur", 4, "curate"),
        ("alpaca-pipe hist", 1, "history"),
        ("alpaca-pipe status sma", 2, "small"),
    ],
)
def test_the_shell_completes_commands_recipes_and_stages(
    home: Path, words: str, current: int, wanted: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from alpaca_pipe.cli import app; app(prog_name='alpaca-pipe')"],
        cwd=home,
        text=True,
        capture_output=True,
        check=False,
        env=os.environ
        | {
            "_ALPACA_PIPE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(current),
        },
    )
    assert wanted in done.stdout.split(), done.stdout + done.stderr


def test_every_command_stands_in_one_of_the_five_groups_of_the_help() -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    titles = re.findall(r"^([A-Z].*):$", output, re.MULTILINE)[1:]  # the first: its options
    assert titles == ["The start", "The road", "The rows", "Looking back", "Money"]
    page = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text()
    chapters = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    for chapter in chapters[:5]:
        title, _, text = chapter.partition("\n")
        shown = output.split(f"\n{title}:\n")[1].split("\n\n")[0]
        named = {
            name.split()[0] for name in re.findall(r"^alpaca-pipe ([a-z-]+)", text, re.MULTILINE)
        }
        assert named == set(re.findall(r"^  ([a-z-]+)  ", shown, re.MULTILINE)), title
