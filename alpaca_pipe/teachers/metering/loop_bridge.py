"""From the ledger's thread back to the event loop: what is committed together wakes the loop once, not each by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class LoopBridge:
    """Of one event loop."""

    def __init__(self) -> None:
        self._arrived: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._called = False  # the loop knows that something is there

    async def of(self, future: Future[T]) -> T:
        """The answer of a future that another thread completes. Giving up waiting does not undo the work."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def arrive(done: Future[T]) -> None:
            self._arrived.append((waiter, done))
            if not self._called:
                self._called = True
                with suppress(RuntimeError):  # the loop is closed, nobody waits
                    loop.call_soon_threadsafe(self._deliver)

        future.add_done_callback(arrive)
        return await waiter

    def _deliver(self) -> None:
        self._called = False  # first: what comes from here on calls again
        while self._arrived:
            waiter, done = self._arrived.popleft()
            if waiter.done():
                continue
            error = done.exception()
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())
