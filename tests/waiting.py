"""Waiting for what another process or task does: looks again and again, and gives up after minutes, never after seconds."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")
PATIENCE = (
    120.0  # seconds: a test that waits longer than this has failed, on the busiest machine too
)
_LOOKS_EVERY = 0.01  # seconds
_READING = ("poll", "select", "wait_woken", "n_tty_read")  # of the kernel's functions


def until(look: Callable[[], T], process: subprocess.Popen[Any] | None = None) -> T:
    """What `look` gives as soon as that is true. process: what makes it so; the wait fails where that ended before."""
    ends = time.monotonic() + PATIENCE
    while True:
        ended = process is not None and process.poll() is not None
        if found := look():
            return found
        assert not ended, (
            f"the process ended (exit code {process and process.returncode}) before it was so"
        )
        assert time.monotonic() < ends, f"it did not become so within {PATIENCE:.0f} s"
        time.sleep(_LOOKS_EVERY)


def killed(process: subprocess.Popen[Any]) -> None:
    """By signal 9; what it had started is gone too when this returns: the teacher's server may answer, and write down, what is in
    flight until it notices."""
    import psutil

    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    until(lambda: not any(_lives(child) for child in children))


def _lives(process: psutil.Process) -> bool:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def too_late() -> Callable[[], bool]:
    """Whether a test's patience is over, counted from now: for what asks now and then whether it shall stop."""
    ends = time.monotonic() + PATIENCE
    return lambda: time.monotonic() > ends


async def when(look: Callable[[], T]) -> T:
    """The same for what other tasks of this loop do."""
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.001)
        return found


async def turns(count: int = 20) -> None:
    """Lets every other task of this loop go on as far as it can, some steps of the loop far."""
    for _ in range(count):
        await asyncio.sleep(0)


def waits_for_a_key(pid: int) -> bool:
    """Whether a process waits for something to be read. Where the kernel does not tell for what, it is enough that it waits."""
    stat, where = Path(f"/proc/{pid}/stat"), Path(f"/proc/{pid}/wchan")
    if not stat.exists():
        return True
    inside = where.read_text() if where.exists() else "0"
    waits = stat.read_text().rpartition(")")[2].split()[0] == "S"
    return waits and (inside == "0" or any(name in inside for name in _READING))
