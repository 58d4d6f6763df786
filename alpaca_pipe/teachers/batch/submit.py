"""From an intent to a batch that exists exactly once, whatever breaks on the way.

The batch is asked for after the file's id is in the books, and never twice with one file. Where the answer to that is not
known, the provider's list tells; where the list has none, the file is deleted before it is looked at again, so that no
call that is still on its way can make the batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs, Intent
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.batch.batch_client import BatchClient, NotThere
from alpaca_pipe.teachers.batch.waiting import BatchWaiting, given_up

T = TypeVar("T")
_TRIES = 8  # at a call while nothing is with the provider


@dataclass(frozen=True)
class BatchSubmission:
    """window: in which the provider has to answer, in its own words.  pause: seconds between two looks at its list."""

    office: BatchClient
    books: BatchJobs
    patience: BatchWaiting
    window: str
    pause: float

    async def make(self, intent: Intent, data: Sequence[bytes]) -> Intent:
        """The batch of these lines. Failure or UserError where it is certain that there is none."""
        try:
            whole = b"".join(data)
            file = await self.patience.insist(
                lambda: self.office.upload(_file_of(intent), whole), _TRIES
            )
            intent = await done(self.books.enter(intent, "uploaded", file))
            made, guessed = await self._create(intent)
        except (Failure, UserError):
            if intent.file:
                await self.gone(intent.file)
            raise
        return await self._made(intent, made, guessed)

    async def again(self, intent: Intent, cancel: bool) -> Intent:
        """What an earlier run has handed in, or was about to. Failure where there is no batch, and none can come; and where it is to
        be ended and may be another's."""
        if cancel and intent.guessed:
            raise Failure(
                f"the batch {intent.batch} was found by its size and its time alone: it may be another's, and is not ended",
                sent="unknown",
                retry=False,
            )
        if intent.batch:
            return intent
        if not intent.file:  # that run died before it could ask for the batch
            for file in await self._orphans(intent):
                await self.gone(file)
            raise Failure("its batch was never asked for", sent="no", retry=True)
        return await self._made(intent, await self._found(intent), self.office.guesses)

    async def gone(self, file: str) -> bool:
        """Whether a file of ours is not there any more, after it was asked to go."""
        try:
            await self.patience.insist(lambda: self.office.delete(file), _TRIES)
        except NotThere:
            return True
        except UserError:
            return False
        return True

    async def _create(self, intent: Intent) -> tuple[dict[str, Any], bool]:
        """The batch, and whether that it is ours is a guess."""
        for tries in range(1, _TRIES + 1):
            try:
                return await self.office.create(intent.file, self.window, intent), False
            except Failure as failure:
                if failure.sent == "unknown":
                    return await self._found(intent), self.office.guesses
                if not failure.retry or tries == _TRIES:
                    raise given_up(failure, tries) from failure
                await self.patience.rest(tries, failure.retry_after)
        raise AssertionError

    async def _found(self, intent: Intent) -> dict[str, Any]:
        with self.patience.at_the_provider():
            made = await self._listed(intent)
            if made is not None:
                return made
            gone = await self.gone(intent.file)
            await self.patience.sleep(self.pause)
            made = await self._listed(intent)
        if made is None:
            raise Failure(
                "its batch was asked for, and was not made",
                sent="refused" if gone else "unknown",
                retry=True,
            )
        return made

    async def _listed(self, intent: Intent) -> dict[str, Any] | None:
        return await self.patience.insist(lambda: self.office.find(intent, self.books.has))

    async def _made(self, intent: Intent, made: dict[str, Any], guessed: bool) -> Intent:
        with self.patience.at_the_provider():
            return await done(self.books.enter(intent, "created", str(made["id"]), guessed=guessed))

    async def _orphans(self, intent: Intent) -> list[str]:
        try:
            return await self.office.files_named(_file_of(intent))
        except (Failure, Fatal, NotThere):
            return []


def _file_of(intent: Intent) -> str:
    return f"{intent.id}.jsonl"


async def done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
