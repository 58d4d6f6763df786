"""A closed terminal (SIGHUP) stops a run as SIGTERM does: what is in flight is finished and kept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.core.screen import echo, new_console, terminal_gone
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


def test_what_is_printed_to_a_terminal_that_is_gone_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ignores SIGHUP (nohup, disown) goes on; a disk that fails in the same way is still said."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as screen:
        os.close(ours)
        monkeypatch.setattr("sys.stdout", screen)
        echo("to nobody")
        echo("and once more")
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as screen:
        console = new_console(file=screen, force_terminal=True)
        os.close(ours)
        console.print("to nobody")
        console.print("and once more")
    with (tmp_path / "printed").open("w") as file:
        assert not terminal_gone(file, OSError(errno.EIO, "Input/output error"))


def test_a_signal_to_the_whole_group_stops_it_as_one_to_the_run(tmp_path: Path) -> None:
    """As `kill -- -GROUP`, a shell's `timeout` or systemd do: our own server answers until the run has what it asked for."""
    text = RECIPE.replace("price:", "delay: 1, concurrency: 2, price:")
    (tmp_path / "small.yaml").write_text(text.replace("count: 6", "count: 200"))
    command = [sys.executable, "-m", "alpaca_pipe", "-v", "run", "small.yaml"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "request r1-" in line:
                break
        os.killpg(process.pid, signal.SIGTERM)
        said = process.stdout.read()
        assert process.wait(60) == 130 and "killed by signal" not in said, said
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals().lost == journal.totals().pending == 0, said


@pytest.mark.parametrize("both", [False, True])
def test_a_run_whose_output_nobody_reads_any_more_stops_politely(
    tmp_path: Path, both: bool
) -> None:
    """both: `2>&1 | head -1`; what is asked for politely twice would be interrupted."""
    text = RECIPE.replace("price:", "delay: 1, concurrency: 2, price:")
    (tmp_path / "small.yaml").write_text(text.replace("count: 6", "count: 200"))
    command = [sys.executable, "-m", "alpaca_pipe", "-v", "run", "small.yaml"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "request r1-" in line:
                break
        process.stdout.close()
        said = process.stderr.read() if process.stderr else ""
        assert process.wait(60) == 141 and "a bug in alpaca-pipe" not in said, said
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals().lost == journal.totals().pending == 0, said


@pytest.mark.parametrize("words", [["prices"], ["--help"], ["recipes"], ["prices", "--json"]])
def test_a_reader_that_goes_is_no_fault(tmp_path: Path, words: list[str]) -> None:
    """`| head -1`: quiet, and the exit code of the tools that the signal kills."""
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        [sys.executable, "-m", "alpaca_pipe", *words],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (said.returncode, said.stderr) == (141, "")


def test_a_run_that_finds_all_up_to_date_is_quiet_too(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE.replace("count: 6", "count: 2"))
    command = [sys.executable, "-m", "alpaca_pipe", "run", "small.yaml", "--until", "generate"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (said.returncode, said.stderr) == (141, "")


def test_without_a_standard_output_nothing_is_printed_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE.replace("count: 6", "count: 2"))
    command = f"{sys.executable} -m alpaca_pipe run small.yaml --until generate >&- 2>&- <&-"
    assert subprocess.run(command, shell=True, cwd=tmp_path, check=False).returncode == 0
    with Journal.open(tmp_path / "runs" / "ledger.sqlite") as journal:
        assert journal.totals().requests > 0
