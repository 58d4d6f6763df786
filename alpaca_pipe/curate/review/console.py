"""Where a person reads and answers: one key at a time in a terminal, one line at a time over a pipe."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from alpaca_pipe.core.screen import visible

if TYPE_CHECKING:
    from rich.console import Console

_ARROWS = {b"[D": "b", b"[A": "b", b"[C": "s", b"[B": "s"}


class InputEnded(Exception):
    """The input ended: there is nobody there."""


class ReviewConsole:
    """A console to write to, and whoever types."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.by_key = sys.stdin.isatty()

    def command(self, prompt: str) -> tuple[str, str]:
        """(the first letter of a command, what stands behind it). Over a pipe a line is `d wrong dose`. Raises Left at the end
        of the input, KeyboardInterrupt at Ctrl-C."""
        self._write(prompt)
        if self.by_key:
            key = self._key()
            self._write(f"{key if key.isprintable() else ''}\n")
            return key.lower(), ""
        word, _, rest = self._line().strip().partition(" ")
        self._write("\n")
        return word[:1].lower() if word.lower() in _COMMANDS or len(
            word
        ) == 1 else word.lower(), rest.strip()

    def ask(self, prompt: str) -> str | None:
        """A line of text; None when the question was left with Ctrl-C."""
        try:
            if self.by_key:
                with contextlib.suppress(ImportError):
                    import readline  # noqa: F401 - input() then knows arrows and history
                return input(visible(prompt))
            self._write(prompt)
            answer = self._line().rstrip("\n")
            self._write("\n")
            return answer
        except EOFError:
            raise InputEnded from None
        except KeyboardInterrupt:
            self._write("\n")
            return None

    def say(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self.console.print(Text(text, style))

    def _write(self, text: str) -> None:
        self.console.file.write(visible(text))
        self.console.file.flush()

    def _line(self) -> str:
        line = sys.stdin.readline()
        if not line:
            raise InputEnded
        return line

    def _key(self) -> str:
        """One key press; an arrow is b or s, any other key that sends a sequence is an empty one."""
        with _unbuffered(fd := sys.stdin.fileno()):
            first = os.read(fd, 1)
            if first in (b"", b"\x04"):
                raise InputEnded
            rest = b""
            while (
                len(rest) < 8
                and (first == b"\x1b" or first >= b"\x80")
                and select.select([fd], [], [], 0.02)[0]
            ):
                rest += os.read(fd, 1)
                if first != b"\x1b" or rest in _ARROWS or rest[-1:] == b"~":
                    if first >= b"\x80" and len(rest) < _length(first) - 1:
                        continue
                    break
        return (
            _ARROWS.get(rest, "") if first == b"\x1b" else (first + rest).decode(errors="replace")
        )


_COMMANDS = {"keep", "drop", "edit", "note", "undo", "back", "skip", "quit", "more", "help"}


def _length(first: bytes) -> int:
    """Bytes of a UTF-8 character, by its first."""
    return 4 if first >= b"\xf0" else 3 if first >= b"\xe0" else 2


@contextlib.contextmanager
def _unbuffered(fd: int) -> Iterator[None]:
    import termios
    import tty

    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSANOW)  # not TCSAFLUSH: what was typed ahead counts
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
