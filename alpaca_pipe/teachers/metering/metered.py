"""Tokens become money: every attempt is reserved before it is sent, and its reply and cost are stored as one.

Nothing that is stored is asked again, nothing that was sent is forgotten, and a cap holds whatever is under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget, bounds_of
from alpaca_pipe.ledger.entries import Attempt, Short
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure, Teacher
from alpaca_pipe.teachers.metering.bad_requests import BadRequests, refused_unread
from alpaca_pipe.teachers.metering.budget_queue import BudgetQueue
from alpaca_pipe.teachers.metering.budget_warning import BudgetWarning
from alpaca_pipe.teachers.metering.disk_guard import DiskGuard
from alpaca_pipe.teachers.metering.giving_up import giving_up
from alpaca_pipe.teachers.metering.loop_bridge import LoopBridge
from alpaca_pipe.teachers.metering.overruns import FlightPlace, Overruns, overruns_so_far
from alpaca_pipe.teachers.metering.request_size import RequestSize, RequestSizes
from alpaca_pipe.teachers.metering.served_model import ServedModel
from alpaca_pipe.teachers.metering.settlement import Entered, entered
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter, Turn

T = TypeVar("T")
_log = logging.getLogger(__name__)  # the outcome of each attempt, for `-v`
_GLANCE = 0.2  # seconds; another teacher of the same run may free budget without our hearing of it


@dataclass
class _Asking:
    task: asyncio.Task[Completion] | None = None
    askers: int = 0
    sending: bool = False  # an attempt is under way, which is not broken off
    left: bool = False  # nobody waits for the reply any more


class Metered:
    """A teacher whose every attempt passes through the journal; itself a Teacher. Cancelling `ask` waits for what is
    in flight and keeps it; once `stopping()` is true, or a fatal error came, nothing new is sent.

    A refused request (400) is an answer, stored as one, if this teacher has answered anything else, now or before;
    see bad_requests.py."""

    def __init__(
        self,
        teacher: Teacher,
        *,
        journal: Journal,
        price: Price,
        caps: Caps,
        recipe: str,
        run: str,
        stage: str,
        pace: RateLimiter,
        stopping: Callable[[], bool] = lambda: False,
        attempts: int = 6,
        heard: bool = False,
        by_batch: bool = False,
        bills_dollars: bool | None = None,
        model: str = "",
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """heard: it has answered before.  by_batch: replies come together, in any order.
        bills_dollars: whether a cost that a reply reports is in dollars; None: where the provider is known to.  model: the name that was asked
        for.  say: takes a sentence for the screen."""
        self.identity, self.takes = teacher.identity, teacher.takes
        self.pace = pace
        self.from_store = 0  # replies that cost nothing because they were paid for before
        self._teacher, self._journal, self._price, self._caps = teacher, journal, price, caps
        self._recipe, self._run, self._stage = recipe, run, stage
        self._stopping, self._attempts = stopping, attempts
        self._bills_dollars = bills_dollars
        self._size = RequestSizes(price, self.takes, self.identity.get("extra_body", {}))
        self._say, self._unsaid = say, list[str]()  # the latter until the reply is stored
        self._served = ServedModel(model, self._unsaid.append)
        self._near_cap = BudgetWarning(journal, caps, recipe, say, by_batch)
        self._disk, self._arrivals = DiskGuard(journal.path.parent), LoopBridge()
        self._asking: dict[str, _Asking] = {}
        self._ended: UserError | None = None
        self._overruns = (
            overruns_so_far(
                journal,
                self.identity,
                price,
                lambda request: self._size.of(request).ceiling,
                narrow=not by_batch,
            )
            if not price.free and any(caps.over("api"))
            else Overruns(narrow=False)  # there is no cap that could be passed
        )
        self._refusals = BadRequests(
            heard,
            lambda: self._ended,
            in_a_row=not by_batch,
            others=lambda held: bool(self._overruns.waiting) and held < int(pace.limit),
        )
        self._an_end = asyncio.Event()  # set, and replaced, whenever an attempt ends
        self._for_budget = asyncio.Lock()  # the line of those who wait for it

    @property
    def ended(self) -> UserError | None:
        """Why nothing new is sent any more."""
        return self._ended

    async def ask(self, request: Request, name: str = "") -> Completion:
        """The reply to a request: the stored one, or a new one, paid for and stored. Raises OverBudget, Fatal, Stopped,
        or UserError when the teacher does not answer: never a hole."""
        key = request.key(self.identity)
        while (
            asking := self._asking.get(key)
        ) is not None and asking.left:  # its end is not for us, its reply may be
            assert asking.task is not None
            await asyncio.wait([asking.task])
        first = asking is None
        if asking is None:
            stored = self._journal.stored(key)
            if stored is not None:
                self.from_store += 1
                self._refusals.stored(stored)
                _log.debug("request %s: %s, from our own store", key, stored.finish)
                self._served.heard(stored.model_said, stored.fingerprint)
                self._tell()
                return stored
            asking = self._asking[key] = _Asking()
            asking.task = asyncio.ensure_future(self._answer(asking, key, request))
            asking.task.add_done_callback(lambda task: self._answered(key, task))
        assert asking.task is not None
        asking.askers += 1
        try:
            completion = await asyncio.shield(asking.task)
        except asyncio.CancelledError:
            if asking.askers == 1 and not asking.task.done():
                asking.left = True
                if not asking.sending:
                    asking.task.cancel()
                await asyncio.wait([asking.task])
            raise
        finally:
            asking.askers -= 1
        return completion if first else replace(completion, from_store=True)

    async def resume(self, attempt: Attempt, request: Request) -> None:
        """Awaits an attempt that an earlier run has sent and left open, and enters how it ended. Raises as `ask` does, and
        Failure: it is not tried again. Its ceiling is in the attempt: what this teacher takes now says nothing about it."""
        sent = replace(
            request, decoding={**request.decoding, **self.identity.get("extra_body", {})}
        )
        async with self.pace.turn(0, self._go_on) as turn:
            self._refusals.begin(turn)
            try:
                limit = bounds_of(sent)[1]
                await _unbroken(self._outcome(attempt, request, limit, attempt.ceiling, turn))
            finally:
                self._refusals.end(turn)

    def _answered(self, key: str, task: asyncio.Task[Completion]) -> None:
        del self._asking[key]
        _seen(task)

    async def _answer(self, asking: _Asking, key: str, request: Request) -> Completion:
        """Attempts, until one brings a reply."""
        sized = self._size.of(request)
        failures = lost = 0
        line = BudgetQueue(self._for_budget)
        try:
            while True:
                if asking.left:
                    raise asyncio.CancelledError
                self._go_on()
                await line.stand()
                self._go_on()
                an_end = self._an_end
                failure = None
                async with (
                    self._overruns.place(self._go_on) as place,
                    self.pace.turn(sized.guess, self._go_on, sized.most) as turn,
                ):
                    self._look_at_disk(sized)
                    self._refusals.begin(turn)
                    asking.sending = True
                    try:
                        answer = await self._attempt(key, request, sized, turn, line, place)
                    except Failure as error:
                        failure = error
                    finally:
                        asking.sending = False
                        self._refusals.end(turn)
                if failure is not None:
                    failures += 1
                    lost += sized.ceiling if failure.sent == "unknown" else 0
                    self._give_up_at(failure, failures, lost, key, request)
                    await self.pace.rest(failures, failure.retry_after, self._go_on)
                elif isinstance(answer, Completion):
                    return answer
                elif not answer.waiting:
                    self._near_cap.no_room(answer)
                    raise OverBudget(answer, self._journal.totals(self._recipe, class_="api"))
                else:
                    self._near_cap.no_room(answer)
                    await line.to_the_front()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(an_end.wait(), _GLANCE)
        finally:
            line.leave()
            self._refusals.look_if_idle()

    async def _attempt(
        self,
        key: str,
        request: Request,
        sized: RequestSize,
        turn: Turn,
        line: BudgetQueue,
        place: FlightPlace,
    ) -> Completion | Short:
        """Reserve, ask, and enter how it ended."""
        attempt = await self._arrivals.of(
            self._journal.reserve(
                key,
                sized.ceiling + self._overruns.allowance,
                self._price,
                self._caps,
                recipe=self._recipe,
                run=self._run,
                stage=self._stage,
            )
        )
        if isinstance(attempt, Short):
            return attempt
        line.leave()
        if isinstance(attempt, Completion):
            self.from_store += 1
            return attempt
        try:
            self._near_cap.moved(attempt.ceiling)
        except BaseException:
            await self._end(self._journal.release(attempt, "it was not sent"))
            raise
        return await self._outcome(attempt, request, sized.tokens_out, sized.ceiling, turn, place)

    async def _outcome(
        self,
        attempt: Attempt,
        request: Request,
        limit: int | None,
        ceiling: int,
        turn: Turn,
        place: FlightPlace | None = None,
    ) -> Completion:
        """Ask, and enter how it ended: a reply is stored before anything else looks at it. limit: tokens that it may have.
        ceiling: what it can cost where the teacher keeps to that; more may be reserved for it."""
        try:
            completion = replace(
                await self._teacher.ask(request, attempt.name),
                key=attempt.request,
                from_store=False,
            )
            if refused_unread(completion):  # nobody paid for it
                if place is not None:
                    place.give_back()
                turn.refused()
                await self._refusals.weigh(completion, turn)
        except Failure as failure:
            unknown = failure.sent == "unknown"
            turn.failed(failure.what, failure.limits, attempt.ceiling if unknown else 0)
            if failure.slower:
                turn.pushed_back(failure.retry_after)
            enter = self._journal.lose if unknown else self._journal.release
            _log.debug(
                "request %s: %s (%s)",
                attempt.name,
                failure.what,
                "lost" if unknown else "costs nothing",
            )
            await self._end(enter(attempt, failure.what))
            raise
        except UserError as error:  # Fatal, or refused before it was sent
            self._stop_at(error)
            await self._end(self._journal.release(attempt, error.what))
            raise
        except BaseException as error:
            self._journal.give_up(
                attempt, f"given up while it was in flight ({type(error).__name__})"
            )
            raise
        bill = entered(
            completion, limit, self._price, ceiling, attempt.ceiling, self._bills_dollars
        )
        if not bill.believed:
            completion = replace(completion, usage=Usage())
        served = self._served.heard(completion.model_said, completion.fingerprint)
        kept = await self._end(
            self._journal.settle(
                attempt,
                completion,
                bill.nanodollars,
                request=request,
                teacher=self.identity,
                anomaly="; ".join(filter(None, [bill.anomaly, served])),
                caps=self._caps,
            )
        )
        if not refused_unread(completion):
            self._overruns.heard(bill.nanodollars, ceiling)
        self._after(attempt, completion, bill, turn)
        return kept

    def _after(self, attempt: Attempt, completion: Completion, bill: Entered, turn: Turn) -> None:
        """What a reply that is stored tells the pace, the rules and the screen."""
        usage = completion.usage
        self._refusals.answered(completion, turn)
        turn.answered(usage.tokens_in + usage.tokens_out, usage.tokens_out, completion.limits)
        _log.debug(
            "request %s: %s, %d tokens in, %d out, %s",
            attempt.name,
            completion.finish,
            usage.tokens_in,
            usage.tokens_out,
            shown(bill.nanodollars),
        )
        self._tell()
        self._near_cap.moved(bill.nanodollars)
        if bill.over:
            raise self._stop_at(
                UserError(
                    bill.anomaly,
                    "check teacher.price and the output limit before you run again; the reply is kept, its cost is in the "
                    "ledger, and from now on twice what it took beyond its ceiling is reserved for each request",
                )
            )

    def _tell(self) -> None:
        while self._unsaid:
            self._say(self._unsaid.pop(0))

    def _look_at_disk(self, sized: RequestSize) -> None:
        try:
            self._disk.check(self._refusals.under_way, sized.tokens_in, sized.tokens_out)
        except UserError as error:
            self._stop_at(error)
            raise

    def _stop_at(self, error: UserError) -> UserError:
        """Nothing new is sent from here on, and who is held hears it."""
        self._ended = error
        self._refusals.look()
        return error

    def _go_on(self) -> None:
        """Raises where nothing new should be sent."""
        if self._ended is not None:
            raise self._ended
        if self._stopping():
            raise Stopped

    def _give_up_at(
        self, failure: Failure, failures: int, lost: int, key: str, request: Request
    ) -> None:
        if given_up := giving_up(failure, failures, lost, self._attempts, key, request):
            raise self._stop_at(given_up) from failure

    async def _end(self, written: Future[T]) -> T:
        """An attempt's end is on the disk: whoever waits for budget, or for an answer, may look again."""
        try:
            return await self._arrivals.of(written)
        except UserError as error:
            self._stop_at(error)
            raise
        finally:
            self._an_end.set()
            self._an_end = asyncio.Event()


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
