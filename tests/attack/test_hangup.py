"""A closed terminal (SIGHUP) stops a run as SIGTERM does: what is in flight is finished and kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.ledger.store.journal import Journal
from tests.attack.conftest import RECIPE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_stops_a_run_as_sigterm_does(
    tmp_path: Path, number: signal.Signals
) -> None:
    text = RECIPE.replace("price:", "delay: 1, concurrency: 2, price:").replace(
        "count: 6", "count: 200"
    )
    (tmp_path / "small.yaml").write_text(text)
    command = [sys.executable, "-m", "alpaca_pipe", "-v", "run", "small.yaml"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ),
        # `nohup make test` would have it ignored here too
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "request r1-" in line:  # one reply is stored, others are in flight
                break
        process.send_signal(number)
        said = process.stdout.read()
        assert process.wait(60) == 130, said
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals()
        assert totals.lost == totals.open == totals.pending == 0 and totals.requests >= 2, said
