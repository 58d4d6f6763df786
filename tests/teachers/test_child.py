"""Servers of our own: they leave when we do, however we end, and their death is told with the end of their log."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from alpaca_pipe.core.completion import PromptMessage, Request
from alpaca_pipe.teachers.base import Fatal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher
from alpaca_pipe.teachers.local.child_process import serving
from tests.waiting import until, when

SERVER = "alpaca_pipe.teachers.scripted.scripted_server"
SETTINGS = {"lines": None, "delay": 30, "served": None, "port": None}
QUESTION = Request((PromptMessage("user", "Why?"),))

PARENT = f"""
import asyncio, sys
from pathlib import Path
from alpaca_pipe.teachers.local.child_process import serving
from tests.waiting import until, when

async def main():
    async with serving("{SERVER}", {SETTINGS!r}, Path(sys.argv[1]), "the server") as child:
        print(child.process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    until(lambda: not is_alive(child))


def test_it_is_stopped_when_the_block_ends_and_ctrl_c_is_not_its_to_answer(tmp_path: Path) -> None:
    async def main() -> int:
        async with serving(SERVER, SETTINGS, tmp_path / "log", "the server") as child:
            os.kill(child.process.pid, signal.SIGINT)  # the terminal sends it to the whole group
            assert not await child.gone(within=0.3)
        return child.process.pid

    assert not is_alive(asyncio.run(main()))


def test_its_death_during_a_request_is_fatal_and_tells_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"

    async def main() -> None:
        served = tmp_path / "served"
        async with open_teacher(
            TeacherTable(kind="rehearsed", model="m", delay=30.0, served=served), log=log
        ) as teacher:
            pid = teacher._teacher._child.process.pid  # type: ignore[attr-defined]
            asking = asyncio.ensure_future(teacher.ask(QUESTION))
            server = psutil.Process(pid)
            await when(lambda: any(c.status == "ESTABLISHED" for c in server.net_connections()))
            with log.open("a") as stream:
                print("out of luck", file=stream)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(Fatal, match=r"killed by signal 9.*out of luck"):
                await asking
            with pytest.raises(Fatal, match="killed by signal 9"):
                await teacher.ask(QUESTION)

    asyncio.run(main())


def test_a_child_that_does_not_start_tells_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(SERVER, {}, tmp_path / "log", "the server"):
            pass

    with pytest.raises(Fatal, match=r"the server ended while starting \(exit code 1\).*KeyError"):
        asyncio.run(main())
