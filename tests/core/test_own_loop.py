"""Tasks that are stopped while their loop ends are no exceptions that nobody handled; others are."""

from __future__ import annotations

import asyncio

import pytest

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.errors import Stopped


async def _leaves_behind(error: type[Exception]) -> str:
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise error("asked to stop") from None

    left.append(asyncio.create_task(waits()))
    await asyncio.sleep(0)
    return "done"


left: list[asyncio.Task[None]] = []


@pytest.mark.parametrize(("error", "told"), [(Stopped, False), (ValueError, True)])
def test_what_is_told_when_a_loop_ends(
    error: type[Exception], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert own_loop.run(_leaves_behind(error)) == "done"
    assert ("unhandled exception during asyncio.run() shutdown" in caplog.text) is told
