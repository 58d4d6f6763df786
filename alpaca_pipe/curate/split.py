"""The held-out split: the rows whose ids hash lowest, so that rows which come later move few of them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping


def held_out_ids(
    ids: Iterable[str], count: int, wholes: Mapping[str, str] | None = None
) -> frozenset[str]:
    """The `count` ids with the lowest sha256; order plays no part. k more rows displace at most k of them.

    wholes: id of a piece -> id of its conversation. Pieces of one conversation stay on one side, in the place of its own id; one
    that has more pieces than are still wanted is passed over, so that a few less than `count` may be held out.
    """
    if not wholes:
        return frozenset(heapq.nsmallest(count, ids, key=_place))
    together: dict[str, list[str]] = {}
    for id in ids:
        together.setdefault(wholes.get(id, id), []).append(id)
    found: list[str] = []
    for whole in sorted(together, key=_place):
        if len(found) + len(together[whole]) <= count:
            found += together[whole]
    return frozenset(found)


def _place(id: str) -> tuple[bytes, str]:
    return hashlib.sha256(id.encode()).digest(), id
