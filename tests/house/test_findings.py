"""findings/ has one form: it can be run, says guess, event and consequence, pins what it installs, and leaves our program out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_nothing_else_lies_there() -> None:
    assert SCRIPTS and {path.name for path in FOLDER.iterdir()} == {
        "README.md",
        *(path.name for path in SCRIPTS),
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_has_its_form(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK), "it has no run bit: chmod +x"
    assert text.startswith("#!/usr/bin/env bash\n")
    head = text.split("\nset -euo pipefail\n")[0]
    assert all(re.search(f"^# {word}", head, re.MULTILINE) for word in ("Guess", "What happens"))
    assert "matters" in head
    assert not re.search("alpaca[-_]pipe", text), "a finding runs without our program"
    assert not re.search(r"https?://(?!127\.0\.0\.1)|--(extra-)?index-url|/home/|/root/", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_pins_what_it_installs_in_a_folder_that_goes_away(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert "mktemp -d" in text and "trap" in text
    installed = re.findall(r"pip\" install (.+)$", text, re.MULTILINE)
    wanted = [word.strip("'\"") for line in installed for word in line.split() if word[0] != "-"]
    assert wanted and all(re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+", word) for word in wanted)
    versions = [word.split("==")[1] for word in wanted]
    assert any(version in text.split("\nset -euo")[0] for version in versions), (
        "its head comment names no version that it installs"
    )
