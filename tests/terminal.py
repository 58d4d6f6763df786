"""A terminal with somebody at it: a process of its own on a pseudo-terminal, typed at and read from."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.waiting import PATIENCE, until, waits_for_a_key

T = TypeVar("T")
_MODULE = ("-m", "alpaca_pipe")
_MAIN = "\nfrom alpaca_pipe.cli import main\nmain()"
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


class Terminal:
    """`python -m alpaca_pipe ARGUMENTS` on a pseudo-terminal of 100 columns, without an editor; `env` goes before both."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: str = "",
    ) -> None:
        """before: Python that the process runs first, such as a clock of its own."""
        import pty

        self.screen, self._seen, self._lost = "", 0, False
        ours, theirs = pty.openpty()
        self._fd = ours
        settings = {
            name: value for name, value in os.environ.items() if name not in ("EDITOR", "VISUAL")
        }
        self.process = subprocess.Popen(
            [sys.executable, *(("-c", before + _MAIN) if before else _MODULE), *arguments],
            cwd=home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            close_fds=True,
            env={**settings, "TERM": "xterm", "COLUMNS": "100", **(env or {})},
            preexec_fn=take_terminal,  # noqa: PLW1509
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if not self._lost:
            os.close(self._fd)

    def until(self, words: str) -> str:
        """What appears from here on, up to and with the words."""
        while (found := self.screen.find(words, self._seen)) < 0:
            if not self._read():
                raise AssertionError(f"'{words}' did not appear:\n{self.screen[self._seen :]}")
        part = self.screen[self._seen : found + len(words)]
        self._seen = found + len(words)
        return part

    def meanwhile(self, look: Callable[[], T]) -> T:
        """What `look` gives as soon as that is true, seen elsewhere. What appears here is read: a terminal that nobody reads
        holds up what writes to it."""

        def both() -> T:
            while select.select([self._fd], [], [], 0)[0] and self._read():
                pass
            return look()

        return until(both, self.process)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C once it waits for a key: Python does not hear one that comes while readline still writes its prompt."""
        until(lambda: waits_for_a_key(self.process.pid), self.process)
        self.type("\x03")

    def hang_up(self) -> None:
        """Its window is closed, or its connection broken: what runs in it is told, and has nothing to write to."""
        os.close(self._fd)
        self._lost = True

    def end(self) -> tuple[int, str]:
        """The exit code, and what else was printed."""
        while self._read():
            pass
        return self.process.wait(PATIENCE), self.screen[self._seen :]

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when the last one at the other end is gone
            return False
        self.screen += _COLOURS.sub("", data.decode(errors="replace"))
        return bool(data)


def take_terminal() -> None:
    """Makes the pseudo-terminal the one that Ctrl-C comes from, and Ctrl-C and its end heard: children of a shell's `&`, or of
    nohup, inherit that they are not."""
    import fcntl
    import signal
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
