"""An event loop for one piece of work: as `asyncio.run`, but silent about tasks that end because they were asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from alpaca_pipe.core.errors import Stopped

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """A second Ctrl-C ends the loop while tasks still wait for a turn. Each then answers its cancelling with `Stopped`, which asyncio
    would print with a traceback as an exception that nobody handled."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(_unless_stopped)
        return runner.run(work)


def _unless_stopped(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Stopped):
        loop.default_exception_handler(context)
