"""kill -9 at every moment of a batch's life: nothing is bought twice, nothing is lost, and the books are the provider's."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.ledger.store.journal import Journal
from tests.teachers.batch_server import Running, running
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
ASKS = """
import asyncio, sys
from pathlib import Path
from alpaca_pipe.core.completion import PromptMessage, Request
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.teachers.config import TeacherTable
from tests.waiting import PATIENCE

folder, url, run, count, recipe = Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), sys.argv[5]
table = TeacherTable(kind="openai_batch", model="m", base_url=url + "/v1", price={"in": 0.1, "out": 0.4}, poll=0.05,
                     most_requests=7)

async def main(journal):
    async with connect(table, journal=journal, caps=Caps(), recipe=recipe, run=run, stage="s", log=folder / "log") as teacher:
        ask = lambda i: teacher.ask(Request((PromptMessage("user", f"{folder.name} {recipe}{i}"),), {"max_tokens": 20}))
        return await asyncio.gather(*(ask(i) for i in range(count)))

with Journal.open(folder / "ledger.sqlite") as journal:
    journal.recover(recipe)
    print(len(asyncio.run(main(journal))))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


def start(
    folder: Path, server: Running, run: int, count: int, recipe: str = "r"
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKS, str(folder), server.url, f"{recipe}{run}", str(count), recipe],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def killed_again_and_again(
    folder: Path, server: Running, kills: int, kill: Callable[[subprocess.Popen[str]], None]
) -> int:
    """Each run asks four more than the one before. Gives how many kills hit a living process; the last run is not killed."""
    hits = 0
    for run in range(kills):
        with start(folder, server, run, 4 * (run + 1)) as process:
            kill(process)
            try:
                process.wait(timeout=PATIENCE)
            finally:
                process.kill()
            hits += process.returncode == -9
    server.faults(seconds=0.1)
    count = 4 * (kills + 1)
    with start(folder, server, kills, count) as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert printed.split() == [str(count)]
    books = server.books()
    billed = {text: times for text, times in books["asked"].items() if text.startswith(folder.name)}
    assert billed == {f"{folder.name} r{i}": 1 for i in range(count)}  # no reply was bought twice
    with Journal.open(folder / "ledger.sqlite") as journal:
        assert BatchJobs(journal).open("r") == []
        totals = journal.totals("r")
        assert (totals.lost, totals.open, totals.pending, totals.requests) == (0, 0, 0, count)
        settled = Counter(entry.name for entry in journal.entries() if entry.kind == "settled")
        ours = {entry.request for entry in journal.entries()}
        assert settled == Counter(
            {name: times for name, times in books["names"].items() if name.split(".")[0] in ours}
        )
        assert totals.settled == 3000 * count
    return hits


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def at_a_call(server: Running, dice: random.Random) -> Callable[[subprocess.Popen[str]], None]:
    def kill(process: subprocess.Popen[str]) -> None:
        server.faults(
            seconds=0.1,
            kill={"pid": process.pid, "calls": dice.randint(1, 7), "before": dice.random() < 0.5},
        )

    return kill


def at_a_moment(server: Running, dice: random.Random) -> Callable[[subprocess.Popen[str]], None]:
    def kill(process: subprocess.Popen[str]) -> None:
        server.faults(
            seconds=0.2,
            create_lost=dice.randint(0, 1),
            twice=dice.randint(0, 1),
            expire=dice.randint(0, 1),
        )
        time.sleep(dice.uniform(0.4, 2.5))
        process.kill()

    return kill


def test_killed_at_calls(tmp_path: Path) -> None:
    with running() as server:
        assert killed_again_and_again(tmp_path, server, 3, at_a_call(server, random.Random(3))) >= 2


def test_two_recipes_at_once_each_have_their_own(tmp_path: Path) -> None:
    with running() as server:
        server.faults(seconds=0.3)
        with (
            start(tmp_path, server, 1, 9, "one") as one,
            start(tmp_path, server, 1, 9, "two") as two,
        ):
            assert [process.communicate(timeout=PATIENCE)[0].split() for process in (one, two)] == [
                ["9"],
                ["9"],
            ]
        assert server.books()["asked"] == {
            f"{tmp_path.name} {recipe}{i}": 1 for recipe in ("one", "two") for i in range(9)
        }
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        assert [journal.totals(recipe).settled for recipe in ("one", "two")] == [27_000, 27_000]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with running() as server:
        hits = killed_again_and_again(tmp_path, server, 12, at_a_moment(server, dice))
        hits += killed_again_and_again(
            made(tmp_path / "calls"), server, 12, at_a_call(server, dice)
        )
    print(f"{hits} of 24 kills hit")
