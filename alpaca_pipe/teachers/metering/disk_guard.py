"""Nothing is sent whose reply could not be kept: free disk holds all replies in flight, or sending stops."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from alpaca_pipe.core.errors import UserError

_EVERY = 1.0  # seconds between two looks where there is room
_BYTES_A_TOKEN = 8  # of a reply's text in UTF-8: English takes 4, and hardly any script more than 6
_UNSAID = 8192  # tokens of a reply where a request sets no limit
_ROWS = 4096  # bytes of entries and indexes for one request
_TWICE = 2  # what is written lies in the write-ahead log and in the file
_SPARE = 64 * 1024  # bytes


class DiskGuard:
    """Watches the file system of one folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._looked = float("-inf")
        self._sends = 0  # that surely fit before the next look

    def check(self, in_flight: int, tokens_in: int, tokens_out: int | None) -> None:
        """Before one more request is sent beside those in flight, which are taken to be of the same size. Raises UserError.
        tokens_in: bytes of the question; tokens_out: limit of the reply."""
        now = self._clock()
        self._sends -= 1
        if self._sends > 0 and now - self._looked < _EVERY:
            return
        self._looked = now
        each = _TWICE * (tokens_in + _BYTES_A_TOKEN * (tokens_out or _UNSAID) + _ROWS)
        needed = (in_flight + 1) * each + _SPARE
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return  # a file system that cannot say: its own error will come when it is written
        free = disk.f_bavail * disk.f_frsize
        if free < needed:
            raise UserError(
                f"the disk of {self._folder} is almost full: {_mib(free)} are free, and the replies in flight "
                f"may need {_mib(needed)}; nothing more is sent, and what is in flight is kept",
                "free some space and run the same command again: nothing is asked twice",
            )
        self._sends = (free - needed) // each // 2


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
