"""What comes from outside while a run is on: Ctrl-C, and a disk that is full or may not be written."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def asked_to_stop(console: Console) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask politely the first time, and interrupt the second."""
    stopping = threading.Event()

    def ask(number: int, frame: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        console.print("\nstopping: what is in flight is finished and kept; once more to stop at once", highlight=False)

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def plain_disk_errors(root: Path) -> Iterator[None]:
    """A full or read-only disk in one sentence; everything stored so far is whole."""
    try:
        yield
    except OSError as error:
        cures = {errno.ENOSPC: ("is full", "free some space"), errno.EDQUOT: ("is over its quota", "free some space"),
                 errno.EROFS: ("is read-only", "choose another folder with --runs"),
                 errno.EACCES: ("may not be written by you", "choose another folder with --runs"),
                 errno.EPERM: ("may not be written by you", "choose another folder with --runs")}
        if error.errno not in cures:
            raise
        what, cure = cures[error.errno]
        raise UserError(f"the disk of {error.filename or root} {what}",
                        f"{cure} and run the same command again; all that was paid for is kept") from error
