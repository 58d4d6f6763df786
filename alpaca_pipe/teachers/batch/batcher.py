"""The desk where requests are gathered into files, handed in as batches, and their replies given to who asked.

What is at the provider when a run ends is neither lost nor released: it stays open in the ledger, and the next run
collects it (batch_desk.py). `Stopped` is what its askers get; the desk says on its way out why, where it was an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import bounds_of
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs, BatchLine, Event, Intent
from alpaca_pipe.teachers.base import Failure, Fatal, Sent
from alpaca_pipe.teachers.batch.batch_client import BatchClient, NotThere, counts, why_failed
from alpaca_pipe.teachers.batch.batch_file import Answers, Outcome, line_of, read
from alpaca_pipe.teachers.batch.polling import until_ended
from alpaca_pipe.teachers.batch.submit import BatchSubmission, done
from alpaca_pipe.teachers.batch.waiting import GLANCE, BatchWaiting
from alpaca_pipe.teachers.openai.bounded_answer import EndlessAnswer, bytes_of_batch
from alpaca_pipe.teachers.openai.error_mapping import without_keys

_LATER = {
    "token_limit_exceeded",
    "rate_limit_exceeded",
    "server_error",
    "internal_error",
}  # no fault of the file's
_LOOKS_FOR_A_FILE = 5  # that a batch names and that cannot be had yet
_LISTED_WITHIN = 2.0  # seconds until a batch that was made is in the provider's list


@dataclass(frozen=True)
class Rules:
    """How files are cut and watched. poll: most seconds between two looks.  quiet: seconds without a new request after
    which a file is handed in."""

    window: str = "24h"
    most_requests: int = 50_000
    most_bytes: int = 200_000_000
    poll: float = 60.0
    quiet: float = 0.5


@dataclass
class _Asked:
    name: str
    request: Request
    text: bytes = b""
    reply: asyncio.Future[Completion] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, outcome: Outcome | Exception) -> None:
        if self.reply.done():
            return
        if isinstance(outcome, Completion):
            self.reply.set_result(outcome)
        else:
            self.reply.set_exception(outcome)
            self.reply.exception()  # seen: an asker that was cancelled does not fetch it


def _limits_of(batch: Sequence[_Asked]) -> dict[str, int | None]:
    return {asked.name: bounds_of(asked.request)[1] for asked in batch}


class Batcher:
    """A Teacher whose requests go by batch, while its block lasts. address: of the provider, as it is found again by the
    next run: never a port that we chose."""

    def __init__(
        self,
        office: BatchClient,
        books: BatchJobs,
        identity: Mapping[str, Any],
        rules: Rules,
        patience: BatchWaiting,
        *,
        address: str,
        recipe: str,
        run: str,
        stage: str,
    ) -> None:
        self.identity, self.takes = identity, office.wire.takes
        self.patience, self.address, self.run = patience, address, run
        self._office, self._books, self._rules = office, books, rules
        self._making = BatchSubmission(
            office, books, patience, rules.window, min(_LISTED_WITHIN, rules.poll)
        )
        self._whose = {"recipe": recipe, "run": run, "stage": stage, "address": address}
        self._most = rules.most_requests  # in one file
        self._fitted, self._until_larger = (
            0,
            1,
        )  # full files taken since `_most` changed; as many as let it grow
        self._alone = asyncio.Lock()
        self._one_by_one = (
            False  # batches after each other: the provider's queue was too short for two
        )
        self._pending: list[_Asked] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._left: dict[str, _Asked] = {}  # by name: what an earlier run has handed in
        self._working: set[asyncio.Task[None]] = set()
        self._there: set[asyncio.Task[Any] | None] = (
            set()
        )  # of them, those that may have something with the provider
        self._ending: list[
            tuple[Intent, Event, str]
        ] = []  # to be entered when every line has its end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.patience.closed = True
        for asked in self._pending:
            asked.end(Stopped())
        self._pending = []
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self._enter_ends()
        if self.patience.why is not None and isinstance(error, Stopped):
            self._hide(self.patience.why)
            raise self.patience.why from None

    # ---- gathering

    async def ask(self, request: Request, name: str = "") -> Completion:
        """As `Teacher.ask`, hours later. Stopped where the desk closes before the reply is there."""
        asked = self._left.pop(name, None)
        if asked is None:
            asked = _Asked(name, request, line_of(self._office.wire, request, name))
            self._put(asked)
        try:
            return await asked.reply
        except (Failure, UserError) as error:
            self._hide(error)
            raise

    def not_asked(self, name: str) -> None:
        """Of what was taken up: nobody will ask for that line, so that the others need not wait for it."""
        self._left.pop(name, None)

    def take_up(self, intent: Intent, lines: Sequence[BatchLine], cancel: bool) -> None:
        """Goes on with a batch of an earlier run; those of its lines that have no end are asked for again, by name.
        cancel: it should end now."""
        left = [_Asked(line.attempt.name, line.request) for line in lines if not line.ended]
        self._left |= {asked.name: asked for asked in left}
        names = {line.attempt.name: bounds_of(line.request)[1] for line in lines}
        self._start(
            left,
            lambda: self._see_home(intent, self._making.again(intent, cancel), left, names, cancel),
        )

    def _put(self, asked: _Asked) -> None:
        size = len(asked.text)
        if size > self._rules.most_bytes:
            raise Fatal(
                f"a request has {size:,} bytes, more than a file may have",
                "raise teacher.most_bytes",
            )
        if len(self._pending) >= self._most or self._bytes + size > self._rules.most_bytes:
            self._hand_over()
        self._pending.append(asked)
        self._bytes += size
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._rules.quiet, self._hand_over)

    def _hand_over(self) -> None:
        batch, self._pending, self._bytes = self._pending, [], 0
        if batch:
            self._start(batch, lambda: self._hand_in(batch))

    def _start(self, batch: Sequence[_Asked], work: Callable[[], Awaitable[None]]) -> None:
        """Every asker gets its reply or an error, whatever happens."""

        async def through() -> None:
            own = asyncio.current_task()
            try:
                async with self._alone if self._one_by_one else nullcontext():
                    self.patience.go_on()
                    self._there.add(own)
                    await work()
            except BaseException as error:
                for asked in batch:
                    asked.end(error if isinstance(error, Exception) else Stopped())
                if not isinstance(error, Exception):
                    raise
            finally:
                self._there.discard(own)

        task = asyncio.ensure_future(through())
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    # ---- one batch

    async def _hand_in(self, batch: Sequence[_Asked]) -> None:
        await self._enter_ends()
        intent = await done(
            self._books.intend(
                [(asked.name, asked.request) for asked in batch],
                **self._whose,
                teacher=self.identity,
            )
        )
        lines = [asked.text for asked in batch]
        for asked in batch:
            asked.text = b""
        making = self._making.make(intent, lines)
        await self._see_home(intent, making, batch, _limits_of(batch), False, new=True)

    async def _see_home(
        self,
        intent: Intent,
        making: Awaitable[Intent],
        batch: Sequence[_Asked],
        names: Mapping[str, int | None],
        cancel: bool,
        new: bool = False,
    ) -> None:
        """Waits for the end of a batch and gives everybody what came of theirs. names: of all its lines, each with the most
        tokens that its reply may have."""
        try:
            intent = await making
        except (Failure, UserError) as error:  # there is no batch
            self._ending.append((intent, "abandoned", str(error)))
            raise
        if new:
            self._say(f"batch {intent.batch}: {len(batch):,} requests handed in")
        try:
            with self.patience.at_the_provider():
                made = await until_ended(
                    self._office,
                    intent.batch,
                    self.patience,
                    longest=self._rules.poll,
                    cancel=cancel,
                    say=self._say,
                )
                files = await self._files(made, batch, len(names))
        except NotThere:
            raise self._unknown(intent, len(batch), cancel) from None
        except Stopped:
            self._say(
                f"batch {intent.batch} stays with the provider ({len(batch):,} requests): "
                "the same command collects it"
            )
            raise
        while not self._left.keys().isdisjoint(
            names
        ):  # all of them have asked: what one gets depends on the others
            await self.patience.sleep(GLANCE)
        if isinstance(files, EndlessAnswer):  # they will be no shorter tomorrow
            self._ending.append((intent, "collected", files.what))
            raise files
        answers = read(files, names, self._office.wire)
        oddities = answers.oddities()
        self._ending.append(
            (intent, "collected", "; ".join(filter(None, [made["status"], oddities])))
        )
        try:
            missing = await self._missing(intent, made, answers, len(batch))
            outcomes = [answers.outcomes.get(asked.name) or missing() for asked in batch]
            again = sum(isinstance(outcome, Failure) for outcome in outcomes)
            self._say(
                f"batch {intent.batch} {made['status']}: {len(batch) - again:,} answers"
                + (f", {again:,} requests without" if again else "")
                + (f" ({oddities})" if oddities else "")
            )
            for asked, outcome in zip(batch, outcomes, strict=True):
                asked.end(outcome)
        finally:
            with suppress(
                Failure, Fatal, NotThere
            ):  # what was sent is in our books; the answers stay there
                await self._office.delete(str(made.get("input_file_id")))

    async def _files(
        self, made: Mapping[str, Any], batch: Sequence[_Asked], lines: int
    ) -> list[bytes] | EndlessAnswer:
        """What the provider wrote of a batch of so many lines."""
        requests = [asked.request for asked in batch]
        most = bytes_of_batch(requests, lines, self._office.wire.sized_by)
        names = [made.get("output_file_id"), made.get("error_file_id")]
        try:
            return [await self._content(file, most) for file in names if file]
        except EndlessAnswer as endless:
            return endless

    async def _content(self, file: str, most: int) -> bytes:
        """A file that the batch itself names: where it is not there yet, it is looked for again."""
        for _ in range(_LOOKS_FOR_A_FILE):
            with suppress(NotThere):
                return await self.patience.insist(lambda: self._office.content(file, most))
            await self.patience.sleep(self._rules.poll)
        return await self.patience.insist(lambda: self._office.content(file, most))

    async def _missing(
        self, intent: Intent, made: Mapping[str, Any], found: Answers, requests: int
    ) -> Callable[[], Failure]:
        """What became of a line that did not come back. It is not billed, unless the provider counts more answers than it
        gave us, or does not count. Fatal where the whole batch was refused for a fault of its own."""
        what = f"the batch {intent.batch} ({made['status']}) came back without it"
        sent: Sent = "refused"
        if intent.guessed and not found.outcomes:
            what = f"the batch {intent.batch}, found by its size and its time, is another's"
            return lambda: Failure(what, sent="unknown", retry=True)
        if made["status"] == "failed":
            reason, codes = why_failed(made, self._office.wire.key)
            if not codes & _LATER:
                raise Fatal(
                    f"{self._office.wire.address} refuses the batch {intent.batch}: {reason}",
                    "fix what it names, then run the same command again; nothing of it was billed",
                )
            what = f"its batch was not taken: {reason}"
            await self._smaller(reason, requests)
            return lambda: Failure(what, sent=sent, retry=True)
        self._larger(requests)
        total, answers, _ = counts(made)
        never_begun = made["status"] == "cancelled" and made.get("request_counts")
        if answers > found.answered or not (total or never_begun):
            sent = "unknown"
        return lambda: Failure(what, sent=sent, retry=True)

    async def _smaller(self, reason: str, requests: int) -> None:
        """The provider's queue is too short: files of half the size, one after the other."""
        self._one_by_one, self._most, self._fitted = True, max(1, min(self._most, requests // 2)), 0
        self._say(
            f"a batch of {requests:,} requests is too much now ({reason}): the next ones have at most {self._most:,}"
        )
        self._there.discard(
            asyncio.current_task()
        )  # and whoever is in line for `_alone` has nothing there: not waited for
        others, until = set(self._there), time.monotonic() + self._rules.poll
        while not others.isdisjoint(self._there) or time.monotonic() < until:
            await self.patience.sleep(GLANCE)

    def _larger(self, requests: int) -> None:
        """A batch was taken: files grow again, each time after twice as many full ones, as each try may cost an attempt."""
        self._fitted += requests >= self._most
        if self._fitted >= self._until_larger and self._most < self._rules.most_requests:
            self._most, self._fitted = min(self._rules.most_requests, 2 * self._most), 0
            self._until_larger *= 2

    def _unknown(self, intent: Intent, requests: int, cancel: bool) -> Exception:
        """The provider knows nothing of a batch that it made, or of its answers."""
        what = f"{self._office.wire.address} does not know the batch {intent.batch} of {requests:,} requests, or its answers"
        if cancel:
            self._ending.append((intent, "abandoned", what))
            return Failure(what, sent="unknown", retry=False)
        self.patience.why = UserError(
            what,
            "use the key that it was made with; or count it as lost: "
            f"alpaca-pipe teachers cancel {intent.recipe}",
        )
        return Stopped()

    async def _enter_ends(self) -> None:
        """The batches that have come to their end, as soon as each of their lines has."""
        ending, self._ending = self._ending, []
        for intent, event, note in ending:
            if self._books.unended(intent):
                self._ending.append((intent, event, note))
            else:
                with suppress(UserError):  # a full disk: the next run enters it
                    await done(self._books.enter(intent, event, note=self._clean(note)))

    # ---- what leaves the desk in words: no key of ours, whoever wrote it

    def _clean(self, text: str) -> str:
        return without_keys(text, self._office.wire.key)

    def _say(self, sentence: str) -> None:
        self.patience.say(self._clean(sentence))

    def _hide(self, error: Failure | UserError) -> None:
        what = self._clean(error.what)
        error.args = (str(error).replace(error.what, what),)
        error.what = what
