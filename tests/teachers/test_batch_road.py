"""`alpaca-pipe run` by batches of the scripted server: stopped, killed, and the same bytes as online."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.road.drive import Road
from tests.waiting import PATIENCE

SMALL = ("generate.count=16", "--until", "generate")
BATCH = ("teacher.batch=true", "teacher.poll=0.2", *SMALL)


def dataset(road: Road) -> list[bytes]:
    return [
        (road.step("generate") / name).read_bytes()
        for name in ("examples.jsonl", "rejected.jsonl", "seats.jsonl")
    ]


def until_handed_in(road: Road, *arguments: str) -> str:
    """Starts a run, sends Ctrl-C when its first batch is with the provider, and gives what it printed."""
    process = road.start(*arguments)
    assert process.stdout is not None
    printed = ""
    while "handed in" not in printed:
        line = process.stdout.readline()
        assert line, printed
        printed += line
    process.send_signal(signal.SIGINT)
    printed += process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130, printed
    return printed


def test_stopped_it_leaves_its_batch_there_and_goes_on_with_it(tmp_path: Path) -> None:
    online, road = Road.make(tmp_path / "online"), Road.make(tmp_path / "batch")
    online.run(*SMALL)
    printed = until_handed_in(road, "teacher.delay=2", *BATCH)
    assert "stays with the provider (8 requests): the same command collects it" in printed
    printed = road.run("teacher.delay=0.1", *BATCH)
    assert (
        "8 requests of an earlier run were handed in as a batch: collecting that first" in printed
    )
    assert dataset(road) == dataset(online)
    assert road.served() == online.served()  # each once
