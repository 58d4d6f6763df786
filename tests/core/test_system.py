"""On Windows itself nothing is begun: one sentence, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import alpaca_pipe
from alpaca_pipe.cli import main
from alpaca_pipe.core.errors import UserError


def test_windows_is_told_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import zoneinfo  # noqa: F401 - it looks at the platform while it is loaded, by pydantic here

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("sys.argv", ["alpaca-pipe", "plan", "quickstart"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "alpaca-pipe runs on Linux and macOS, not on Windows itself - "
        "use WSL 2 (`wsl --install`), where it runs as on Linux\n"
    )
    with pytest.raises(UserError, match="WSL 2"):
        alpaca_pipe.plan("quickstart", runs=tmp_path)
