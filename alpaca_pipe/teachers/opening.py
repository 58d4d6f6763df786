"""The one place where the recipe's table becomes an open teacher."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.journal import Journal
from alpaca_pipe.teachers import openai_chat, openai_completions
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.child import Child, Watched
from alpaca_pipe.teachers.local_server import TAKES_BESIDES, local_server
from alpaca_pipe.teachers.metered import Metered
from alpaca_pipe.teachers.openai_errors import key_from
from alpaca_pipe.teachers.openai_wire import Wire, http_client
from alpaca_pipe.teachers.pace import Pace
from alpaca_pipe.teachers.rehearsed import rehearsed_server
from alpaca_pipe.teachers.table import OPENAI, TeacherTable
from alpaca_pipe.weights.gguf import open_gguf


@contextlib.asynccontextmanager
async def connect(table: TeacherTable, *, journal: Journal, caps: Caps, recipe: str, run: str, stage: str, log: Path,
                  stopping: Callable[[], bool] = lambda: False) -> AsyncIterator[Metered]:
    """The recipe's teacher, open and metered: what a stage asks. The price is looked up before anything starts.

    log: file to which a server of our own appends its log.  Raises UserError (no price, no key, no weights, port in
    use) or Fatal (a server of our own does not start).
    """
    price = table.priced()
    async with open_teacher(table, log=log) as teacher:
        yield Metered(teacher, journal=journal, price=price, caps=caps, recipe=recipe, run=run, stage=stage,
                      pace=Pace(table.concurrency, table.requests_per_minute, table.tokens_per_minute),
                      stopping=stopping, attempts=table.max_attempts)


@contextlib.asynccontextmanager
async def open_teacher(table: TeacherTable, *, log: Path) -> AsyncIterator[Teacher]:
    """The bare teacher: one HTTP attempt for each `ask`, nothing booked. A server of our own lives as long as the block."""
    key = key_from(os.environ, table.key_variable)
    async with contextlib.AsyncExitStack() as stack:
        child = await stack.enter_async_context(own) if (own := _own_server(table, log)) else None
        address = child.url if child else table.address
        client = await stack.enter_async_context(
            http_client(address, key=key, timeout=table.timeout, headers=table.default_headers))
        dialect = openai_chat if table.speaks == "chat" else openai_completions
        takes = dialect.TAKES | (TAKES_BESIDES if table.kind == "local_server" else frozenset())
        # OpenAI's newer models take only the newer name; no other server is sure to know it.
        renamed = {"max_tokens": "max_completion_tokens"} if address == OPENAI and table.speaks == "chat" else {}
        wire = Wire(client, address, table.called, key, table.timeout, takes - set(table.refuses),
                    table.on_unsupported == "drop", renamed, table.extra_body)
        teacher: Teacher = (openai_chat.OpenAIChat if table.speaks == "chat" else openai_completions.OpenAICompletions)(
            wire, table.identity())
        yield Watched(teacher, child) if child else teacher


def _own_server(table: TeacherTable, log: Path) -> contextlib.AbstractAsyncContextManager[Child] | None:
    if table.kind == "local_server":
        return local_server(open_gguf(table.model), name=table.called, parallel=table.concurrency,
                            context=table.context, port=table.port, threads=table.threads, log=log)
    if table.kind == "rehearsed":
        return rehearsed_server(lines=table.lines, delay=table.delay, served=table.served, port=table.port, log=log)
    return None
