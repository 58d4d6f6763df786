"""One process to a run folder: a file lock that the kernel lets go when its holder dies, however it dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import private_folder


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Holds the lock while the block runs. Raises UserError when another process has it."""
    import fcntl

    private_folder(path.parent)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise UserError(
                f"{what} is in use by another process (pid {holder})",
                "wait for it to end, or stop it with Ctrl-C there",
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def holder(path: Path) -> str | None:
    """The pid of the process that holds the lock, or None; nothing is waited for, nothing is written."""
    import fcntl

    try:
        pid = path.read_text().strip()
        os.kill(
            int(pid), 0
        )  # a lock whose last holder is gone is not touched: that could get in the way of a new one
    except PermissionError:
        pass
    except (OSError, ValueError):
        return None
    with path.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return pid
    return None
