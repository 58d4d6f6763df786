"""What goes wrong around a run: one sentence what, one what to do, exit code 2, and what was paid for is there."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alpaca_pipe.ledger.store.journal import Journal
from tests.command import command
from tests.road.drive import Road
from tests.waiting import PATIENCE, until


@pytest.fixture
def road(tmp_path: Path) -> Road:
    return Road.make(tmp_path / "home")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own; the test is skipped where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip("mounting a tmpfs is not allowed here (needs root)")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def one_sentence(printed: str) -> str:
    """The last line, which must be the error; no traceback anywhere."""
    assert "Traceback" not in printed, printed
    line = printed.strip().splitlines()[-1]
    assert " - " in line, f"what, but not what to do: {line}"
    return line


def test_three_mistakes_are_three_lines(road: Road) -> None:
    text = (road.home / "road.yaml").read_text()
    (road.home / "road.yaml").write_text(
        text.replace("count: 40", "cuont: 40")
        .replace("held_out: 16", "held_out: many")
        .replace("max_steps: 6", "warmup_ratio: 0.1")
    )
    lines = road.run(code=2).strip().splitlines()
    wrong = [line for line in lines if line.startswith("road.yaml:")]
    assert any("generate.cuont: unknown key - did you mean 'count'?" in line for line in wrong), (
        lines
    )
    assert any(
        "curate.held_out: should be a valid integer, not 'many'" in line for line in wrong
    ), lines
    assert any(
        "train.warmup_ratio: unknown key - it is called 'warmup_steps' now" in line
        for line in wrong
    ), lines
    assert not (road.home / "runs").exists()


def test_a_missing_gguf_file(road: Road) -> None:
    line = one_sentence(road.run("teacher={kind: local_server, model: nowhere.gguf}", code=2))
    assert "nowhere.gguf" in line and "teacher" in line


def test_an_embedded_model_that_was_not_fetched(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "empty"))
    line = one_sentence(
        road.run("teacher={kind: local_server, model: smollm2-135m-instruct}", code=2)
    )
    assert "alpaca-pipe setup local" in line


def test_a_port_in_use(road: Road) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_sentence(road.run(f"teacher.port={port}", code=2))
    assert f"port {port}" in line


def test_a_second_run_on_the_same_folder(road: Road) -> None:
    first = road.start("teacher.delay=2")
    lock = road.home / "runs" / "road" / ".lock"
    until(lambda: lock.exists() and lock.read_text() == str(first.pid), first)
    line = one_sentence(road.run(code=2))
    assert f"pid {first.pid}" in line
    first.terminate()  # the polite way, as Ctrl-C
    printed, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130 and "to continue" in printed


def test_a_read_only_run_folder(road: Road) -> None:
    runs = road.home / "runs"
    with mounted(runs, "size=1m,ro"):
        line = one_sentence(road.run(code=2))
        assert "--runs" in line and str(runs.name) in line


def test_a_full_disk_keeps_what_was_paid_for(road: Road) -> None:
    runs = road.home / "runs"
    with mounted(runs, "size=600k"):
        line = one_sentence(road.run("generate.count=400", "generate.round_size=64", code=2))
        assert "full" in line or "space" in line
        free = Path(road.home / "copy")
        shutil.copytree(runs, free)
    before = road.served()
    assert before
    shutil.copytree(free, runs, dirs_exist_ok=True)
    with Journal.open(runs / "ledger.sqlite") as journal:
        journal.check()
        paid = journal.totals().requests
    road.run("generate.count=400", "generate.round_size=64", "--until", "generate")
    asked_again = sum(road.served().values()) - len(road.served())
    assert asked_again <= len(before) - paid <= 4  # only what was in flight when the disk was full


def test_a_key_is_nowhere_in_the_workspace_nor_in_what_is_printed(road: Road) -> None:
    secret = "sk-planted-0123456789abcdefghijklmnop"
    said = command("run", "road.yaml", "--until", "curate", cwd=road.home, OPENAI_API_KEY=secret)
    assert said.code == 0 and secret not in said.out + said.err
    for path in (road.home / "runs").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
