"""Who waits for budget stands in line: the first looks again whenever an attempt ends, the others wait behind it.

A batch has up to 50,000 requests; if all of them looked at every end, the ledger could do nothing else.
"""

from __future__ import annotations

import asyncio


class BudgetQueue:
    """One request's place in the line, which is a lock: it is fair, and held by the first."""

    def __init__(self, line: asyncio.Lock) -> None:
        self._line = line
        self._first = False

    async def stand(self) -> None:
        """Returns at once where nobody waits, else when it is our turn to look."""
        if self._line.locked():
            await self.to_the_front()

    async def to_the_front(self) -> None:
        if not self._first:
            await self._line.acquire()
            self._first = True

    def leave(self) -> None:
        """We have what we waited for, or wait no longer: the next one may look."""
        if self._first:
            self._line.release()
            self._first = False
