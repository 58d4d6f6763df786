"""Waiting for a provider: calls are repeated until they are answered, and all of it ends within a moment when it should."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.openai.bounded_answer import EndlessAnswer

T = TypeVar("T")
GLANCE = 0.2  # seconds between two looks at whether to stop
_SAY_EVERY = 300.0  # seconds between two sentences about a call that is tried again and again
_AN_ERROR_STAYS = 3600.0  # seconds of errors in place of an answer, after which nobody expects one
UNREACHED = 3  # tries while nothing was ever reached, and nothing is there
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0  # seconds between two tries


class BatchWaiting:
    """Of one desk. stopping: true once nothing long should be waited for. `why`: the error that has closed the desk although
    something is with the provider."""

    def __init__(
        self,
        stopping: Callable[[], bool],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stopping, self.say, self._clock = stopping, say, clock
        self.closed = False
        self._reached = False  # it has answered anything at all
        self.why: UserError | None = None

    @property
    def ended(self) -> bool:
        """Whether the desk takes nothing more, whatever the run thinks."""
        return self.closed or self.why is not None

    def go_on(self) -> None:
        """Raises Stopped where we should not."""
        if self.ended or self.stopping():
            raise Stopped

    async def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.go_on()
            await asyncio.sleep(min(left, GLANCE))
        self.go_on()

    async def rest(self, tried: int, retry_after: float | None) -> None:
        """Waits after the n-th failure: twice as long each time, with jitter, at least as long as we were asked to."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (tried - 1))
        await self.sleep(max(longest * (1 + random.random()) / 2, retry_after or 0.0))

    async def insist(self, call: Callable[[], Awaitable[T]], tries: int | None = None) -> T:
        """A call that may be repeated, until it is answered, or so often; an error in place of an answer is not insisted on
        for more than an hour. UserError where the answer does not come; EndlessAnswer as it is."""
        tried, began = 0, self._clock()
        said = began
        while True:
            try:
                answer = await call()
                self._reached = True
                return answer
            except EndlessAnswer:
                raise
            except Failure as failure:
                tried, now = tried + 1, self._clock()
                self._reached = self._reached or failure.sent != "no"
                few = min(tries, UNREACHED) if tries and not self._reached else tries
                an_error = failure.of_the_request and now - began > _AN_ERROR_STAYS
                if not failure.retry or (few and tried >= few) or an_error:
                    raise given_up(failure, tried) from failure
                if tried == 3 or (tried > 3 and now - said >= _SAY_EVERY):
                    said = now
                    self.say(f"{failure.what}; trying again")
                await self.rest(tried, failure.retry_after)

    @contextmanager
    def at_the_provider(self) -> Iterator[None]:
        """Within it something is with the provider: an error closes the desk, and what is there stays open."""
        try:
            yield
        except UserError as error:
            self.why = self.why or error
            raise Stopped from error


def given_up(failure: Failure, tries: int) -> UserError:
    often = f"{tries} times" if tries > 1 else "once, and trying again would not help"
    return UserError(
        f"{failure.what} ({often})",
        "run the same command later: every stored reply is kept and nothing is asked twice",
    )
