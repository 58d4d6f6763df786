"""The held-out split: the rows whose ids hash lowest, so that rows which come later move few of them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable


def held_out_ids(ids: Iterable[str], count: int) -> frozenset[str]:
    """The `count` ids with the lowest sha256; order plays no part. k more rows displace at most k of them."""
    return frozenset(
        heapq.nsmallest(count, ids, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
    )
