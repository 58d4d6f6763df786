"""Memory or disk that runs out while a model is worked on: a sentence, and what to do. What was sealed or marked whole stays."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpaca_pipe.core.errors import UserError, first_line

# As torch's allocators and safetensors say it; they raise RuntimeError and an error of their own.
_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "cannot allocate memory")
_DISK = (
    "no space left",
    "file too large",
    "disk quota",
    "failed writing",
    "os error 28",
    "os error 27",
)
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def room(stage: str, folder: Path, cure: str) -> Iterator[None]:
    """Raises UserError where memory runs out (cure: of that), or the disk under `folder`. Other errors pass."""
    try:
        yield
    except Exception as error:
        if _is_disk(error):
            free = shutil.disk_usage(folder).free / 1e9
            raise UserError(
                f"{stage}: the disk does not take what is to be saved ({first_line(error)[:160]}; {free:.1f} GB are free)",
                "make room, then run the same command again: it continues from the last checkpoint",
            ) from None
        if _is_memory(error):
            raise UserError(f"{stage}: memory ran out ({first_line(error)[:160]})", cure) from None
        raise


def _is_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in said for word in _MEMORY)
    )


def _is_disk(error: BaseException) -> bool:
    """Also where it is the cause of another error: torch closes its half-written file with one of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        kind = type(seen).__name__
        if kind in ("SafetensorError", "RuntimeError") and any(
            word in str(seen).lower() for word in _DISK
        ):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
