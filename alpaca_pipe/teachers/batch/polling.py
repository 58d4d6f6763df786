"""Polling a batch: looks at it until it has ended, at growing distances, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.batch.batch_client import BatchClient, counts
from alpaca_pipe.teachers.batch.waiting import BatchWaiting

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_FIRST_LOOK = 1.0  # seconds; the waits between looks grow from here
_SAY_EVERY = 300.0  # seconds between two sentences about a batch whose state is the same


async def until_ended(
    client: BatchClient,
    batch: str,
    waiting: BatchWaiting,
    *,
    longest: float,
    cancel: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The batch as the provider shows it when it has ended. longest: seconds between two looks at most.  cancel: ask the
    provider to end it. Raises Stopped where the run should end first; the batch is then still with the provider."""
    wait, status, answered, said = min(_FIRST_LOOK, longest), "validating", 0, time.monotonic()
    while True:
        made = await waiting.insist(lambda: client.look(batch))
        if made.get("status") in _ENDED:
            return made
        if cancel:
            with suppress(Failure, Fatal):  # one that is about to end cannot be cancelled
                await client.cancel(batch)
        total, answers, errors = counts(made)
        news = answers + errors != answered and time.monotonic() - said >= _SAY_EVERY
        if made.get("status") != status or news:
            status, answered, said = str(made.get("status")), answers + errors, time.monotonic()
            say(f"batch {batch} {status}: {answered:,} of {total:,} answered")
        await waiting.sleep(wait)
        wait = min(longest, wait * 1.5)
