"""A server of our own in a child process: started, heard of, watched, stopped; it never outlives us.

The child holds the reading end of a pipe as its stdin. When we end, whatever way (kill -9 too), the pipe closes and
the child leaves. `lifeline` is the child's side of that, `serving` is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.base import Failure, Fatal, Teacher

_UP_WITHIN = 300.0  # seconds; a large GGUF on a slow disk takes minutes
_GONE_WITHIN = 5.0  # seconds from closing its stdin to killing it
_LOG_LINES = 3  # of the log's end, in a sentence about its death


@dataclass(frozen=True)
class Child:
    """A running server of ours."""

    what: str  # "the local server", for sentences
    url: str
    log: Path
    process: asyncio.subprocess.Process
    key: str = (
        ""  # drawn by the child, known to us two: whatever else runs on this machine gets no answer
    )

    async def gone(self, within: float) -> bool:
        """Whether it has ended, waiting a moment: a cut connection is noticed before the exit."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), within)
        return self.process.returncode is not None

    def obituary(self) -> Fatal:
        code = self.process.returncode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return Fatal(
            f"{self.what} ended ({how}); the end of its log {self.log}: {last_lines(self.log)}",
            "run the same command again; if it was killed for memory, lower `teacher.concurrency`",
        )


class Watched:
    """A teacher whose server is our child: a failed attempt after the child's death stops the run."""

    def __init__(self, teacher: Teacher, child: Child) -> None:
        self.identity = teacher.identity
        self.takes = teacher.takes
        self._teacher = teacher
        self._child = child

    async def ask(self, request: Request, name: str = "") -> Completion:
        try:
            return await self._teacher.ask(request, name)
        except Failure as failure:
            if failure.sent != "refused" and await self._child.gone(within=1.0):
                raise self._child.obituary() from None
            raise


@contextlib.asynccontextmanager
async def serving(
    module: str, settings: Mapping[str, Any], log: Path, what: str
) -> AsyncIterator[Child]:
    """Runs `python -m module` with the settings as its one argument until the block ends.

    The child prints one line when it listens: {"url": ..., "key": ...} or {"what": ..., "cure": ...}; its stderr goes to `log`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            json.dumps(dict(settings)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stream,
            start_new_session=True,  # what stops our whole group is ours to answer
        )
    try:
        word = await _first_word(process, log, what)
        yield Child(what, word["url"], log, process, word.get("key", ""))
    finally:
        await _stop(process)


async def _first_word(process: asyncio.subprocess.Process, log: Path, what: str) -> dict[str, str]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _UP_WITHIN)
    except TimeoutError:
        raise Fatal(
            f"{what} was not up after {_UP_WITHIN:.0f} s; the end of its log {log}: {last_lines(log)}",
            "try again when the machine is less busy, or take a smaller model",
        ) from None
    if not line:
        await process.wait()
        raise Fatal(
            f"{what} ended while starting (exit code {process.returncode}); the end of its log {log}: "
            f"{last_lines(log)}",
            "fix what the log names, then run the same command again",
        )
    word: dict[str, str] = json.loads(line)
    if "url" not in word:
        raise UserError(f"{word['what']}; its log: {log}", word["cure"])
    return word


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _GONE_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()


def last_lines(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return " | ".join(line.strip()[:200] for line in lines[-_LOG_LINES:]) or "(empty)"


def lifeline(
    last: Callable[[], None] = lambda: None,
) -> Callable[[Mapping[str, Any]], None]:
    """In the child: leave when the parent's end of our stdin closes. Ctrl-C, SIGTERM and SIGHUP are the parent's to answer, who
    finishes what is in flight. Answers the function that sends a line to the parent; all other prints go to the log. last:
    done before leaving."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    to_parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        last()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    return lambda word: print(json.dumps(dict(word)), file=to_parent, flush=True)


def port_is_free(port: int) -> bool:
    """Asked before a server binds: some servers share a port in silence (SO_REUSEPORT)."""
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_in_use(port: int) -> dict[str, str]:
    return {
        "what": f"port {port} of this machine is in use or not yours to take",
        "cure": "set `teacher.port` to another one, or remove it and a free port is found",
    }
