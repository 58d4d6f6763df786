"""After a model: its memory goes back to the machine, so that the next one does not lie beside what the last one left."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any


def let_go() -> None:
    """Collects models that hold each other in circles. glibc keeps what was freed between blocks that are still in use: gigabytes
    after a tune."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Any:
    """malloc_trim, where there is one (Linux with glibc)."""
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # Windows takes no None
        return None
