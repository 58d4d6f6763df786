"""Python's collector of reference cycles, while many small objects are made that have none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _OLDER, _OLD = (
    100_000,
    50,
    1000,
)  # objects and rounds; the usual 700, 10, 10 cost a tenth of curation


@contextmanager
def collected_seldom() -> Iterator[None]:
    """What is there is not looked through again, and what is new only in large rounds: few rows leave a cycle behind."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
