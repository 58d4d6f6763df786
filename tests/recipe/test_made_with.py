"""What is sent with KEY=VALUE is what was made with it: another run's rows are never sent in its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError

RECIPE = "curate:\n  from: rows.json\n  held_out: 2\n  likeness: 1.0\nexport: {}\n"


def test_push_with_settings_of_another_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    towns = ["Rome", "Oslo", "Lima", "Bern", "Riga", "Cairo", "Kyoto", "Quito", "Dakar"]
    rows = [
        {"instruction": f"Why is {town} known?", "input": "", "output": f"For what {town} sells."}
        for town in towns
    ]
    Path("rows.json").write_text(json.dumps(rows))
    Path("towns.yaml").write_text(RECIPE)

    def push(*settings: str) -> str:
        done = CliRunner().invoke(
            app, ["push", "towns", "me/towns", *settings, "--dry-run"], catch_exceptions=False
        )
        assert done.exit_code == 0
        return done.output

    assert CliRunner().invoke(app, ["run", "towns"]).exit_code == 0
    assert push("curate.held_out=2") == push()  # the same settings, said again
    with pytest.raises(UserError, match=r"was not made with curate\.held_out=3"):
        push("curate.held_out=3")
    assert CliRunner().invoke(app, ["run", "towns", "curate.held_out=3"]).exit_code == 0
    assert "me/towns" in push("curate.held_out=3")
    with pytest.raises(UserError, match=r"was not made with curate\.held_out=2"):
        push("curate.held_out=2")  # made once, but not by the last run
