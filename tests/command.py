"""`alpaca-pipe` in this very process: what it prints and how it ends, without the second that a new Python takes.

For commands that look and tell. What is killed, keeps a server, or is about the process itself is started as one.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from alpaca_pipe.cli import main


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


def command(*words: str | Path, cwd: Path, typed: str = "", **environment: str) -> Said:
    """Runs one command in folder `cwd` as the console script would; `environment` is set while it runs. typed: what is
    piped into it."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", ["alpaca-pipe", *map(str, words)]),
        mock.patch.object(sys, "stdin", io.StringIO(typed)),
        mock.patch.dict("os.environ", {"COLUMNS": "200"} | environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = contextvars.copy_context().run(_exit_code)  # a tone that is set stays in there
    return Said(code, out.getvalue(), err.getvalue())


def told(*words: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    """What a command printed, without its remarks on stderr; it must end with `code`."""
    said = command(*words, cwd=cwd, **environment)
    assert said.code == code, (
        f"{' '.join(map(str, words))}: exit {said.code}\n{said.out}\n{said.err}"
    )
    return said.out


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - with --debug: a process would print it and end
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0
