"""Work that starts event loops of its own, called where one is running already, as in a notebook: it gets a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from alpaca_pipe.core.errors import Stopped

T = TypeVar("T")
_LISTENS = 0.25  # seconds: ipykernel's button to interrupt does not wake a loop that only waits


def loop_is_running() -> bool:
    """In this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def waited_for(work: Callable[[], T], stopping: threading.Event) -> T:
    """Its result, however long it takes. Ctrl-C sets `stopping`, and the work ends in order."""
    future = _started(work)
    while True:
        try:
            return future.result()
        except KeyboardInterrupt:
            if future.done() or stopping.is_set():
                raise
            stopping.set()


async def awaited(work: Callable[[], T], stopping: threading.Event) -> T:
    """Its result. A task that is cancelled sets `stopping`, and is over when the work has ended in order."""
    future = asyncio.wrap_future(_started(work))
    try:
        while not future.done():
            await asyncio.wait({future}, timeout=_LISTENS)
        return future.result()
    except asyncio.CancelledError:
        stopping.set()
        with contextlib.suppress(Stopped):
            await future
        raise


def _started(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=do, name="alpaca-pipe", daemon=True).start()
    return future
