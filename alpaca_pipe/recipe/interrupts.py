"""What comes from outside while a run is on: Ctrl-C, and a disk that is full or may not be written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.screen import nobody_reads

_CURES = {
    errno.ENOSPC: ("is full", "free some space"),
    errno.EDQUOT: ("is over its quota", "free some space"),
    errno.EROFS: ("is read-only", "choose another folder with --runs"),
    errno.EACCES: (
        "cannot be written: you have no permission",
        "choose another folder with --runs",
    ),
    errno.EPERM: ("cannot be written: you have no permission", "choose another folder with --runs"),
}
_STOPPING = b"\nstopping: what is in flight is finished and kept; once more to stop at once\n"
_FULL = 1 << 20  # bytes free: below this, a library's failure to write is taken for a full disk


@contextmanager
def asked_to_stop(stopping: threading.Event | None = None) -> Iterator[threading.Event]:
    """Ctrl-C, SIGTERM and a terminal that goes (SIGHUP) ask politely the first time, and interrupt the second. stopping: is
    set by somebody else too."""
    stopping = stopping or threading.Event()
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def ask(number: int, frame: object) -> None:
        if number == signal.SIGHUP:  # what is written to a terminal that is gone would fail
            with contextlib.suppress(OSError), open(os.devnull, "r+b") as nowhere:
                for stream in terminals:
                    os.dup2(nowhere.fileno(), stream)
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        # straight to the terminal: a handler that waits for the screen's lock could wait for the thread it interrupted
        if not nobody_reads():
            with contextlib.suppress(OSError):
                os.write(2, _STOPPING)

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup asked us to go on
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def plain_disk_errors(root: Path) -> Iterator[None]:
    """A full or read-only disk in one sentence, whichever library met it; everything stored so far is whole."""
    try:
        yield
    except (UserError, Stopped):
        raise
    except Exception as error:
        found = _os_error(error)
        if (
            found is None
            and isinstance(error, OSError)
            and str(error.filename or "").startswith(str(root))
        ):
            raise UserError(
                f"{root} cannot be used: {error.filename}: {error.strerror}",
                "choose another folder with --runs",
            ) from error
        if found is None:
            if "No space left" not in str(error) and _free(root) > _FULL:
                raise
            found = OSError(errno.ENOSPC, "", str(root))
        what, cure = _CURES[found.errno or errno.ENOSPC]
        raise UserError(
            f"the disk of {found.filename or root} {what}",
            f"{cure} and run the same command again; all that was paid for is kept",
        ) from error


def _os_error(error: BaseException | None) -> OSError | None:
    """The operating system's word about the disk behind an error: libraries wrap it in errors of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _CURES:
            return error
        error = error.__cause__ or error.__context__
    return None


def _free(root: Path) -> int:
    there = next(
        folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists()
    )
    return shutil.disk_usage(there).free
