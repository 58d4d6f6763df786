"""The one place where the recipe's table becomes an open teacher."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.batch.batch_desk import WITHOUT_LIMIT, Collected, batch_desk, pick_up
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.http_teacher import HttpTeacher
from alpaca_pipe.teachers.local.child_process import Child, Watched
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.openai.error_mapping import key_from
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import http_client
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from alpaca_pipe.teachers.retrying import Retrying
from alpaca_pipe.teachers.shutdown import Living


@contextlib.asynccontextmanager
async def connect(
    table: TeacherTable,
    *,
    journal: Journal,
    caps: Caps,
    recipe: str,
    run: str,
    stage: str,
    log: Path,
    stopping: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda sentence: None,
) -> AsyncIterator[Metered]:
    """The recipe's teacher, open and metered: what a stage asks. The price is looked up before anything starts, and what
    earlier runs have left with the provider as a batch is collected before anything is asked.

    log: file to which a server of our own appends its log.  say: is told what takes long.  Raises UserError (no price, no
    key, no weights, port in use) or Fatal (a server of our own does not start).
    """
    price = table.priced()
    async with contextlib.AsyncExitStack() as stack:
        wire, child = await stack.enter_async_context(_open_wire(table, log))
        desk = None
        if table.by_batch or BatchJobs(journal).open(recipe):
            desk = await stack.enter_async_context(
                batch_desk(
                    table,
                    wire,
                    child,
                    journal=journal,
                    recipe=recipe,
                    run=run,
                    stage=stage,
                    stopping=stopping,
                    say=say,
                )
            )
            await pick_up(desk, journal, recipe, caps=caps)
        metered = Metered(
            Retrying(
                Living(
                    desk if desk and table.by_batch else _online(table, wire, child),
                    table,
                    wire,
                    say,
                ),
                attempts=table.max_attempts,
                by_batch=table.by_batch,
                say=say,
            ),
            journal=journal,
            price=price,
            caps=caps,
            recipe=recipe,
            run=run,
            stage=stage,
            pace=_pace(table, say, careful=not price.free),
            stopping=lambda: stopping() or (desk is not None and desk.patience.ended),
            attempts=table.max_attempts,
            by_batch=table.by_batch,
            bills_dollars=table.bills_dollars,
            model=table.called,
            say=say,
        )
        if desk:
            desk.patience.stopping = lambda: stopping() or metered.ended is not None
        yield metered


async def cancel_batches(
    table: TeacherTable, *, journal: Journal, recipe: str, log: Path, say: Callable[[str], None]
) -> Collected:
    """Ends the batches that runs of a recipe have left with the provider: what is finished is kept and paid for, the rest
    costs nothing. What the provider does not know is counted as lost. Hold the recipe's lock."""
    async with (
        _open_wire(table, log) as (wire, child),
        batch_desk(
            table,
            wire,
            child,
            journal=journal,
            recipe=recipe,
            run="",
            stage="",
            stopping=lambda: False,
            say=say,
        ) as desk,
    ):
        return await pick_up(desk, journal, recipe, cancel=True)


@contextlib.asynccontextmanager
async def open_teacher(
    table: TeacherTable, *, log: Path, say: Callable[[str], None] = lambda sentence: None
) -> AsyncIterator[Teacher]:
    """The bare teacher: one HTTP attempt for each `ask`, online, nothing booked. A server of our own lives as long as the
    block. say: is told where it will end soon."""
    async with _open_wire(table, log) as (wire, child):
        yield Living(_online(table, wire, child), table, wire, say)


@contextlib.asynccontextmanager
async def _open_wire(
    table: TeacherTable, log: Path
) -> AsyncIterator[tuple[HttpConnection, Child | None]]:
    key = key_from(os.environ, table.key_variable)
    async with contextlib.AsyncExitStack() as stack:
        child = await stack.enter_async_context(own) if (own := table.own_server(log)) else None
        address, key = (child.url, child.key) if child else (table.address, key)
        client = await stack.enter_async_context(
            http_client(address, timeout=table.timeout, **table.http_options)
        )
        yield (
            HttpConnection(
                client,
                address,
                table.called,
                key,
                table.timeout,
                table.takes,
                table.protocol(),
                table.on_unsupported == "drop",
                table.renamed_fields,
                table.added_fields,
                alternatives=table.top_logprobs or 0,
            ),
            child,
        )


def _online(table: TeacherTable, wire: HttpConnection, child: Child | None) -> Teacher:
    teacher = HttpTeacher(wire, table.identity())
    return Watched(teacher, child) if child else teacher


def _pace(table: TeacherTable, say: Callable[[str], None], *, careful: bool) -> RateLimiter:
    if table.by_batch:
        return RateLimiter(WITHOUT_LIMIT, adapts=False)
    return RateLimiter(
        table.concurrency,
        table.requests_per_minute,
        table.tokens_per_minute,
        careful=careful,
        say=say,
    )
