"""The one way to the terminal. What was written by others (rows, replies, a server's words, names, keys of a recipe, and our
own sentences that quote them) is shown as what it is: it may not move the cursor, colour, ring, or be read backwards.

Nothing else in the package prints (tests/house/test_screen.py).
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import stat
import sys
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

READER_GONE = 141  # 128 + SIGPIPE
_GONE: list[IO[str]] = []  # the first stream whose reader went
_KEEPS = "\n\t\u200c\u200d"  # zero-width joiners belong to scripts and emoji
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_OBEYED = re.compile("[\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with what a terminal would obey, or what nobody sees, shown as what it is. Lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in _KEEPS or unicodedata.category(char) not in _UNSEEN
        else f"⟨{'ESC' if char == chr(27) else f'U+{ord(char):04X}'}⟩"
        for char in re.sub("\r\n?", "\n", text)
    )


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON for a program, in which nothing stands that a terminal would obey: such characters are escaped, as JSON may."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def echo(text: object = "", *, err: bool = False, end: str = "\n") -> None:
    """A sentence or a page as plain text, on standard output or standard error."""
    _written(sys.stderr if err else sys.stdout, visible(str(text)) + end)


class Styled(NamedTuple):
    """A part of a line. style: of STYLES."""

    text: str
    style: str = ""


STYLES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def put(*parts: str | Styled, end: str = "\n") -> None:
    """A line of several parts on standard output, with their styles where it is a terminal that shows them."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    line = ""
    for part in parts:
        text, style = part if isinstance(part, Styled) else (part, "")
        seen = visible(text)
        line += seen if plain or not style else f"\x1b[{STYLES[style]}m{seen}\x1b[0m"
    _written(sys.stdout, line + end)


def echo_json(value: Any, indent: int | None = 2) -> None:
    """Alone on standard output."""
    _written(sys.stdout, json_text(value, indent) + "\n")


def hold_streams() -> None:
    """Where we were started without standard input, output or error (`>&-`), they lead nowhere: else the next file that is opened,
    the ledger perhaps, would be what is printed to."""
    while (fd := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(fd)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def reader_gone(stream: IO[str]) -> None:
    """Nobody reads what is printed any more (`| head -1`): the rest goes nowhere. A run that can be stopped politely is, as when
    its terminal goes; any other command ends here, with the exit code of the tools that the signal kills."""
    _to_nowhere(stream)
    if _GONE:  # a run was asked already; once more would not be polite, and both streams may lead to one reader
        return
    if callable(signal.getsignal(signal.SIGTERM)):
        _GONE.append(stream)
        os.kill(os.getpid(), signal.SIGTERM)
        return
    raise SystemExit(READER_GONE)


def nobody_reads() -> bool:
    """Whether the reader of what is printed went."""
    return bool(_GONE)


def terminal_gone(stream: IO[str], error: OSError) -> bool:
    """Whether a write failed because its terminal was closed, of which SIGHUP would have told who does not ignore it (nohup, disown):
    the rest goes nowhere then, and the work goes on."""
    with suppress(OSError, ValueError):
        if error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            _to_nowhere(stream)
            return True
    return False


def _to_nowhere(stream: IO[str]) -> None:
    with suppress(OSError, ValueError), open(os.devnull, "r+b") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _written(stream: IO[str], text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        reader_gone(stream)
    except OSError as error:
        if terminal_gone(stream, error):
            return
        _to_nowhere(stream)
        raise UserError(
            f"what is printed cannot be written: {(error.strerror or str(error)).lower()}",
            "send it to another file, or to none",
        ) from None


def new_console(*, markup: bool = False, **options: Any) -> Console:
    """rich's Console, whose colours and boxes are ours alone: text passes through `visible`, and brackets in it are no markup
    unless that is asked for (`markup=True` where a sentence holds nothing from outside)."""
    return _visible_console()(markup=markup, **options)


@cache
def _visible_console() -> type[Console]:
    """Made when it is needed: rich takes 50 ms to load."""
    from rich.console import Console
    from rich.segment import Segment

    class VisibleConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable():
                    yield segment
                else:
                    yield Segment(visible(segment.text), segment.style)

        def _check_buffer(self) -> None:
            try:
                super()._check_buffer()
            except OSError as error:
                if not terminal_gone(self.file, error):
                    raise

        def on_broken_pipe(self) -> None:
            self.quiet = True
            reader_gone(self.file)

        def out(self, *objects: Any, **options: Any) -> None:
            super().out(*(visible(str(thing)) for thing in objects), **options)

    return VisibleConsole
