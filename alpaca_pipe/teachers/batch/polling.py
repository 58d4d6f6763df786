"""Polling a batch: looks at it until it has ended, at growing distances, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.batch.batch_client import BatchClient, counts
from alpaca_pipe.teachers.batch.waiting import BatchWaiting

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_FIRST_LOOK = 1.0  # seconds; the waits between looks grow from here
_LOOKS_FOR_FILES = (
    10  # for the files of a batch that has ended, each as far from the next as looks may be
)
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
            return await _with_its_answers(client, made, waiting, longest, say)
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


async def _with_its_answers(
    client: BatchClient,
    made: dict[str, Any],
    waiting: BatchWaiting,
    longest: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """A batch that has ended, once it shows the files that its counts speak of: some providers show them minutes later.
    UserError where it counts answers and never shows them."""
    batch, looks = str(made.get("id")), 0
    while lacks := _lacks(made):
        if looks == _LOOKS_FOR_FILES and "errors" in lacks:
            break  # none of them was answered: they are missing, as a line that is in no file
        if looks == _LOOKS_FOR_FILES:
            raise UserError(
                f"{client.wire.address} counts {lacks} in the batch {batch} and shows no file of them; it is left open, "
                "and nothing of it is bought again",
                "run the same command later to collect it; or count it as lost: alpaca-pipe teachers cancel",
            )
        if looks == 0:
            say(f"batch {batch} has ended, and its file is not there yet: looking again")
        looks += 1
        await waiting.sleep(longest)
        made = await waiting.insist(lambda: client.look(batch))
    return made


def _lacks(made: Mapping[str, Any]) -> str:
    """What a batch counts and shows no file of; "" for nothing."""
    _, answers, errors = counts(made)
    if answers and not made.get("output_file_id"):
        return f"{answers:,} answers"
    if errors and not (made.get("error_file_id") or made.get("output_file_id")):
        return f"{errors:,} errors"
    return ""
