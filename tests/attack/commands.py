"""The command line in this process: its exit status and all that it printed."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from alpaca_pipe.cli import main

CLEAN = {0, 2, 130}


def call(*words: str) -> tuple[int, str]:
    """(exit status, standard output and error together)."""
    said = io.StringIO()
    with (
        patch.object(sys, "argv", ["alpaca-pipe", *words]),
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0) if not isinstance(end.code, str) else 1, said.getvalue()
    return 0, said.getvalue()
