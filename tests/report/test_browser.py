"""`report --open`: a real browser command is called with the page; where there is none, the path is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from tests.report.conftest import Workspace
from tests.waiting import until


def test_the_browser_gets_the_page(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, seen = tmp_path / "browser.py", tmp_path / "seen"
    browser.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(seen)!r} + '.part', 'w').write(sys.argv[1])\n"
        f"import os\nos.rename({str(seen)!r} + '.part', {str(seen)!r})\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)  # read BROWSER anew
    done = CliRunner().invoke(
        app, ["report", workspace.recipe, "--runs", str(workspace.root), "--open"]
    )
    page = workspace.root / workspace.recipe / "report.html"
    assert done.exit_code == 0 and done.stdout.strip() == str(page) and not done.stderr
    until(seen.exists)
    assert seen.read_text() == page.resolve().as_uri()


def test_without_a_browser_it_says_where_the_page_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(
        app, ["report", workspace.recipe, "--runs", str(workspace.root), "--open"]
    )
    assert done.exit_code == 0 and "there is no browser here: open " in done.stderr
