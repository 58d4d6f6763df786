"""An event loop in which time passes only by waiting: hours of pacing in a moment, exact to the last digit."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("everybody waits for somebody else")
        if timeout and not ready:
            self.now += timeout
        return ready


def run(main: Callable[[Callable[[], float]], Coroutine[Any, Any, T]]) -> T:
    """Runs main(clock) on such a loop."""
    selector = _Selector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(main(loop.time))
    finally:
        loop.close()
