"""Tokens become money: every attempt is reserved before it is sent, and its reply and cost are stored as one.

Nothing that is stored is asked again, nothing that was sent is forgotten, and a cap holds whatever is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget, bounds_of, ceiling_of
from alpaca_pipe.ledger.entries import Attempt, Short
from alpaca_pipe.ledger.journal import Journal
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.prices import Price
from alpaca_pipe.teachers.base import Failure, Fatal, Teacher
from alpaca_pipe.teachers.pace import Pace, Turn

T = TypeVar("T")
_GLANCE = 0.2  # seconds; another teacher of the same run may free budget without our hearing of it
_LONGEST_ASKED = 600.0  # seconds; a server that wants us to wait longer is not there today
_BYTES_A_TOKEN = 4  # of English, OpenAI's rule of thumb: a guess for the pace, corrected by what was used


@dataclass
class _Asking:
    task: asyncio.Task[Completion]
    askers: int = 0


class Metered:
    """A teacher whose every attempt passes through the journal; itself a Teacher. Cancelling `ask` waits for what is
    in flight and keeps it; once `stopping()` is true, or a fatal error came, nothing new is sent.

    A refused request (400) is an answer, stored as one, if this teacher has answered anything else, now or before.
    Refusals that come before are held while others are under way; where all are refused, that is Fatal and nothing
    is stored: a wrong model or field is not the answer to a prompt."""

    def __init__(self, teacher: Teacher, *, journal: Journal, price: Price, caps: Caps, recipe: str, run: str,
                 stage: str, pace: Pace, stopping: Callable[[], bool] = lambda: False, attempts: int = 6) -> None:
        self.identity, self.takes = teacher.identity, teacher.takes
        self.from_store = 0  # replies that cost nothing because they were paid for before
        self._teacher, self._journal, self._price, self._caps = teacher, journal, price, caps
        self._recipe, self._run, self._stage = recipe, run, stage
        self._pace, self._stopping, self._attempts = pace, stopping, attempts
        self._asking: dict[str, _Asking] = {}
        self._ended: UserError | None = None
        self._heard = False  # something was answered, not only refused
        self._under_way: set[Turn] = set()  # whose outcome is not known yet
        self._an_end = asyncio.Event()  # set, and replaced, whenever an attempt ends

    async def ask(self, request: Request, name: str = "") -> Completion:
        """The reply to a request: the stored one, or a new one, paid for and stored. Raises OverBudget, Fatal, Stopped,
        or UserError when the teacher does not answer: never a hole."""
        key = request.key(self.identity)
        asking = self._asking.get(key)
        first = asking is None
        if asking is None:
            stored = self._journal.stored(key)
            if stored is not None:
                self.from_store += 1
                self._heard |= not _refused(stored)
                return stored
            asking = self._asking[key] = _Asking(asyncio.ensure_future(self._answer(key, request)))
            asking.task.add_done_callback(lambda task: self._answered(key, task))
        asking.askers += 1
        try:
            completion = await asyncio.shield(asking.task)
        except asyncio.CancelledError:
            if asking.askers == 1 and not asking.task.done():
                asking.task.cancel()
                await asyncio.wait([asking.task])
            raise
        finally:
            asking.askers -= 1
        return completion if first else replace(completion, from_store=True)

    def _answered(self, key: str, task: asyncio.Task[Completion]) -> None:
        del self._asking[key]
        _seen(task)

    async def _answer(self, key: str, request: Request) -> Completion:
        """Attempts, until one brings a reply."""
        sent = self._as_sent(request)
        ceiling, (tokens_in, tokens_out) = ceiling_of(sent, self._price), bounds_of(sent)
        failures = 0
        while True:
            self._go_on()
            an_end = self._an_end
            failure = None
            async with self._pace.turn(tokens_in // _BYTES_A_TOKEN + (tokens_out or 0), self._go_on) as turn:
                self._under_way.add(turn)
                try:
                    answer = await _unbroken(self._attempt(key, request, ceiling, turn))
                except Failure as error:
                    failure = error
                finally:
                    self._under_way.discard(turn)
            if failure is not None:
                failures += 1
                self._give_up_at(failure, failures)
                await self._pace.rest(failures, failure.retry_after, self._go_on)
            elif isinstance(answer, Completion):
                return answer
            elif not answer.waiting:
                raise OverBudget(answer, self._journal.totals(self._recipe, class_="api"))
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(an_end.wait(), _GLANCE)

    async def _attempt(self, key: str, request: Request, ceiling: int, turn: Turn) -> Completion | Short:
        """Reserve, ask, and enter how it ended."""
        attempt = await _done(self._journal.reserve(key, ceiling, self._price, self._caps, recipe=self._recipe,
                                                    run=self._run, stage=self._stage))
        if not isinstance(attempt, Attempt):
            self.from_store += isinstance(attempt, Completion)
            return attempt
        try:
            completion = replace(await self._teacher.ask(request, attempt.name), key=key, from_store=False)
            await self._hold_refusal(completion, turn)
        except Failure as failure:
            if failure.slower:
                turn.pushed_back(failure.retry_after)
            enter = self._journal.lose if failure.sent == "unknown" else self._journal.release
            await self._end(enter(attempt, failure.what))
            raise
        except UserError as error:  # Fatal, or refused before it was sent
            self._ended = error
            await self._end(self._journal.release(attempt, error.what))
            raise
        except BaseException as error:
            self._journal.lose(attempt, f"given up while it was in flight ({type(error).__name__})")
            raise
        turn.answered(completion.usage.tokens_in + completion.usage.tokens_out)
        cost, anomaly = self._cost(completion, ceiling)
        kept = await self._end(self._journal.settle(attempt, completion, cost, request=request, teacher=self.identity,
                                                    anomaly=anomaly))
        if cost > ceiling:
            self._ended = UserError(anomaly, "check teacher.price and the output limit before you run again; "
                                             "the reply is kept and its cost is in the ledger")
            raise self._ended
        return kept

    async def _hold_refusal(self, completion: Completion, turn: Turn) -> None:
        """Returns when the completion counts as an answer; raises Fatal where nothing but refusals came."""
        self._heard |= not _refused(completion)
        self._under_way.discard(turn)
        while not self._heard:
            if self._ended is not None:
                raise self._ended
            if not self._under_way:
                raise Fatal(f"the teacher refused every request so far: {completion.text or 'it gives no reason'}",
                            "check `teacher.model` and the decoding fields of the stage; a field that the model does not "
                            "take goes into `teacher.refuses`")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._an_end.wait(), _GLANCE)

    def _cost(self, completion: Completion, ceiling: int) -> tuple[int, str]:
        """Nano-dollars of a reply, and what is wrong with them. A billed reply without its usage is never $0."""
        usage, cost = completion.usage, self._price.cost(completion.usage)
        # The text of a refused request is the server's reason (a 400 is not billed); every other text was generated.
        answered = completion.finish in ("stop", "length") or bool(completion.text and completion.finish != "refused")
        if ceiling and answered and not (usage.tokens_in and (usage.tokens_out or not completion.text)):
            return ceiling, "the reply came without its usage: counted at its ceiling"
        if cost > ceiling:
            return cost, f"a reply cost {shown(cost)}, more than its ceiling of {shown(ceiling)}"
        return cost, ""

    def _as_sent(self, request: Request) -> Request:
        """With the decoding that reaches the server: a limit that is dropped on the way limits nothing."""
        kept = {name: value for name, value in request.decoding.items() if name in self.takes}
        return replace(request, decoding=kept | dict(self.identity.get("extra_body", {})))

    def _go_on(self) -> None:
        """Raises where nothing new should be sent."""
        if self._ended is not None:
            raise self._ended
        if self._stopping():
            raise Stopped

    def _give_up_at(self, failure: Failure, failures: int) -> None:
        too_long = failure.retry_after is not None and failure.retry_after > _LONGEST_ASKED
        if failure.retry and failures < self._attempts and not too_long:
            return
        often = f"{failures} times" if failures > 1 else "once, and trying again would not help"
        if too_long:
            often = f"and asks to wait {failure.retry_after:.0f} seconds"
        self._ended = UserError(f"the teacher failed at a request {often}: {failure.what}",
                                "run the same command later: every stored reply is kept and nothing is asked twice")
        raise self._ended from failure

    async def _end(self, entered: Future[T]) -> T:
        """An attempt's end is on the disk: whoever waits for budget, or for an answer, may look again."""
        try:
            return await _done(entered)
        except UserError as error:
            self._ended = error
            raise
        finally:
            self._an_end.set()
            self._an_end = asyncio.Event()


def _refused(completion: Completion) -> bool:
    """Refused unread: a 400, which is not billed, unlike a refusal that the model wrote."""
    return completion.finish == "refused" and not (completion.usage.tokens_in or completion.usage.tokens_out)


async def _done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Awaits work to its end even when cancelled, and only then lets the cancellation through."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        _seen(task)
        raise


def _seen(task: asyncio.Task[Any]) -> None:
    """Looks at a task's error, so that the loop does not report it as forgotten when its asker was cancelled."""
    if not task.cancelled():
        task.exception()
