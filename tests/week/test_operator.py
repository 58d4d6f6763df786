"""The operator's week: who is told, what a kill, a lost terminal and a closed pipe cost, the cap, the books by month, a pack.

Real processes, signals and a pseudo-terminal. The lines build on each other, so they are tests in an order, over one folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.ledger.store.journal import Journal
from tests.command import command, told
from tests.terminal import Terminal
from tests.waiting import until

RECIPE = """teacher: {kind: rehearsed, model: gpt-4.1-nano, delay: 0.2, concurrency: 4}
budget: {api: 0.5}
generate: {count: 60, round_size: 8}
curate: {held_out: 6}
on:
  done: "cat >> told.jsonl"
  stopped: "cat >> told.jsonl"
  failed: ["cat >> told.jsonl", "http://127.0.0.1:9/hooks/a-secret-path"]
"""


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operator")
    (folder / "desk.yaml").write_text(RECIPE)
    return folder


def begin(shift: Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "alpaca_pipe", "run", "desk"],
        cwd=shift,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
        **{"stdout": subprocess.DEVNULL} | options,
    )


def replies(shift: Path) -> int:
    file = shift / "runs" / "ledger.sqlite"
    if not file.exists():
        return 0
    with Journal.open(file, read_only=True) as journal:
        return journal.totals("desk").requests


def lost(shift: Path) -> int:
    with Journal.open(shift / "runs" / "ledger.sqlite", read_only=True) as journal:
        return journal.totals("desk").lost


def events(shift: Path) -> list[str]:
    file = shift / "told.jsonl"
    text = file.read_text() if file.exists() else ""
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text):
        one, at = decoder.raw_decode(text, at)
        found.append(one["event"])
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_a_cap_ends_it_before_it_is_passed_and_a_hook_that_is_down_changes_nothing(
    shift: Path,
) -> None:
    done = command("run", "desk", "budget.api=0.0005", "budget.go_on=true", cwd=shift)
    assert done.code == 2 and "is reached" in done.err
    assert "a-secret-path" not in done.err + done.out
    assert events(shift)[-1] in ("failed", "stopped")
    with Journal.open(shift / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals("desk").spent <= 500_000


def test_killed_it_goes_on_and_buys_no_stored_reply_again(shift: Path) -> None:
    had = replies(shift)
    process = begin(shift)
    until(lambda: replies(shift) >= had + 4, process)
    process.kill()
    process.wait()
    stored = replies(shift)
    assert "half done" in told("status", "desk", cwd=shift) or stored > had


def test_a_lost_terminal_stops_it_politely(shift: Path) -> None:
    had, before = replies(shift), lost_or_none(shift)
    process = begin(shift)
    until(lambda: replies(shift) >= had + 2, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 130
    assert lost(shift) <= before and events(shift)[-1] == "stopped"


def lost_or_none(shift: Path) -> int:
    """What a kill left open is counted as lost by the next run, at most what was in flight."""
    return lost(shift) + 4 * 10_000_000


def test_it_is_watched_from_another_terminal(shift: Path) -> None:
    had = replies(shift)
    process = begin(shift)
    until(lambda: replies(shift) >= had + 1, process)
    with Terminal(shift, "status", "desk", "--watch") as there:
        there.until("generate")
        there.type("\x03")
        there.end()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) in (0, 130)


def test_nobody_reads_its_output_any_more(shift: Path) -> None:
    """`run desk | head -1`: it stops politely, or had nothing more to say."""
    process = begin(shift, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) in (0, 130, 141)


def test_then_it_is_finished_and_told(shift: Path) -> None:
    done = command("run", "desk", cwd=shift)
    assert done.code == 0, done.err
    assert events(shift)[-1] == "done"
    assert "everything is up to date" in told("plan", "desk", cwd=shift)


def test_the_books_by_month_and_marked_as_simulated(shift: Path) -> None:
    said = told("ledger", "show", "desk", "--by", "month", cwd=shift)
    days = re.findall(r"\d{4}-\d\d-\d\d", told("ledger", "show", "desk", "--by", "day", cwd=shift))
    assert days and all(day[:7] in said for day in days) and "simulated" in said
    assert command("verify", cwd=shift).code == 0


def test_a_pack_is_unpacked_elsewhere_up_to_date(shift: Path, tmp_path: Path) -> None:
    assert (
        command(
            "pack", "desk", "--for", "curate", "curate.held_out=4", "-o", "desk.tar.zst", cwd=shift
        ).code
        == 0
    )
    os.rename(shift / "desk.tar.zst", tmp_path / "desk.tar.zst")
    done = command("unpack", "desk.tar.zst", "--yes", cwd=tmp_path)
    assert done.code == 0, done.err
    steps = json.loads(told("plan", "desk", "--json", cwd=tmp_path))["steps"]
    assert {step["stage"]: step["verdict"] for step in steps}["generate"] == "up to date"
