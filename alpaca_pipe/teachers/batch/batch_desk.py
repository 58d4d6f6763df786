"""The chat dialect by files and batches: hours slower, at prices of its own; and what earlier runs have left there.

The same question has the same key as online, so a reply is found again whichever way it was bought.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs, BatchLine, Intent
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.anthropic.messages_dialect import AnthropicMessages
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.batch.batch_client import BatchClient
from alpaca_pipe.teachers.batch.batcher import Batcher, Rules
from alpaca_pipe.teachers.batch.message_batches import MessageBatches
from alpaca_pipe.teachers.batch.waiting import BatchWaiting
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.local.child_process import Child
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter

WITHOUT_LIMIT = 1 << 20  # requests in flight: the files bound them


@dataclass(frozen=True)
class Collected:
    """What came of the batches of earlier runs: requests answered, to be asked again, and batches of another provider."""

    batches: int = 0
    answered: int = 0
    unanswered: int = 0
    elsewhere: int = 0


def batch_desk(
    table: TeacherTable,
    wire: HttpConnection,
    child: Child | None,
    *,
    journal: Journal,
    recipe: str,
    run: str,
    stage: str,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> Batcher:
    """The desk of a recipe's teacher, to be entered with `async with`."""
    how = table.batch_rules
    rules = Rules(
        how.window, how.most_requests, how.most_bytes, how.poll, min(Rules.quiet, 2 * how.poll)
    )
    of_anthropic = isinstance(wire.dialect, AnthropicMessages)
    office = MessageBatches(wire, child) if of_anthropic else BatchClient(wire, child)
    return Batcher(
        office,
        BatchJobs(journal),
        table.identity(),
        rules,
        BatchWaiting(stopping, say),
        address=table.kind if child else table.address,
        recipe=recipe,
        run=run,
        stage=stage,
    )


async def pick_up(
    desk: Batcher, journal: Journal, recipe: str, cancel: bool = False, caps: Caps | None = None
) -> Collected:
    """Collects what earlier runs of a recipe have handed in at the desk's address and not collected; to be done before
    anything is asked, so that nothing is bought twice. Hold the recipe's lock. cancel: ends it first; what is finished is
    kept.

    Raises as `Metered.ask`, once each of the requests has its end in the ledger or stays where it is.
    """
    books, say = BatchJobs(journal), desk.patience.say
    everything = [intent for intent in books.open(recipe) if intent.run != desk.run]
    here = [intent for intent in everything if intent.address == desk.address]
    for intent in everything:
        if intent.address != desk.address:
            say(
                f"a batch of this recipe is with {intent.address}; run it once more with that teacher to collect it"
            )
    left = [(intent, books.lines(intent)) for intent in here]
    requests = sum(not line.ended for _, lines in left for line in lines)
    if requests:
        say(
            f"{requests:,} requests of an earlier run were handed in as a batch: "
            f"{'ending' if cancel else 'collecting'} that first"
        )
    ends = await asyncio.gather(
        *(
            _collect(desk, books, journal, intent, lines, cancel, caps or Caps())
            for intent, lines in left
        )
    )
    outcomes = [outcome for end in ends for outcome in end]
    worst = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, BaseException) and not isinstance(outcome, Failure)
    ]
    if worst:
        raise worst[0]
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    return Collected(len(here), len(outcomes) - failed, failed, len(everything) - len(here))


async def _collect(
    desk: Batcher,
    books: BatchJobs,
    journal: Journal,
    intent: Intent,
    lines: Sequence[BatchLine],
    cancel: bool,
    caps: Caps,
) -> list[BaseException | None]:
    """How each of the lines that had no end came to its own: None where a reply is stored."""
    left = [line for line in lines if not line.ended]
    if not left:
        await asyncio.wrap_future(
            books.enter(intent, "collected", note="each of its requests had its end")
        )
        return []
    prices = {id: _price(journal, id) for id in {line.attempt.price for line in left}}
    desk.take_up(intent, lines, cancel)
    teachers = {
        id: Metered(
            _Whose(desk, intent.teacher),
            journal=journal,
            price=price,
            caps=caps,
            recipe=intent.recipe,
            run=intent.run,
            stage=intent.stage,
            pace=RateLimiter(WITHOUT_LIMIT, adapts=False),
            by_batch=True,
            model=str(intent.teacher.get("model", "")),
            heard=_has_answered(journal, intent.teacher),
        )
        for id, price in prices.items()
    }
    return await asyncio.gather(
        *(_resumed(desk, teachers[line.attempt.price], line) for line in left),
        return_exceptions=True,
    )


async def _resumed(desk: Batcher, teacher: Metered, line: BatchLine) -> None:
    try:
        await teacher.resume(line.attempt, line.request)
    finally:
        desk.not_asked(line.attempt.name)


class _Whose:
    """The desk as the teacher that an earlier run has asked: its model may have been another."""

    def __init__(self, desk: Batcher, identity: Mapping[str, Any]) -> None:
        self.identity, self.takes = identity, desk.takes
        self._desk = desk

    async def ask(self, request: Request, name: str = "") -> Completion:
        return await self._desk.ask(request, name)


def _price(journal: Journal, id: str) -> Price:
    """The price at which an attempt was reserved."""
    with journal.read() as db:
        row = json.loads(db.execute("SELECT price FROM prices WHERE id = ?", (id,)).fetchone()[0])
    return Price.from_row(row)


def _has_answered(journal: Journal, teacher: Mapping[str, Any]) -> bool:
    with journal.read() as db:
        return (
            db.execute(
                "SELECT 1 FROM replies WHERE teacher = ? AND finish <> 'refused' LIMIT 1",
                (canonical(dict(teacher)),),
            ).fetchone()
            is not None
        )
