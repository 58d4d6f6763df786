"""Where alpaca-pipe runs: what it rests on is there on Linux and macOS, and not on Windows itself."""

from __future__ import annotations

import sys

from alpaca_pipe.core.errors import UserError


def check_system() -> None:
    """Raises UserError on Windows, before anything is touched: locks that die with their holder, and the question whether a
    process is alive, are POSIX's (on Windows `os.kill(pid, 0)` sends Ctrl-C)."""
    if sys.platform == "win32":
        raise UserError(
            "alpaca-pipe runs on Linux and macOS, not on Windows itself",
            "use WSL 2 (`wsl --install`), where it runs as on Linux",
        )
