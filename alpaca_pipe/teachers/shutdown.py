"""A teacher past its end is not asked: by the price book, by the user's file, or by what the provider's own list of models says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.end_of_life import Ending, PastItsEnd
from alpaca_pipe.teachers.base import Failure, Fatal, Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end, warning

_WITHIN = 10.0  # seconds for the provider's list of models, which most runs can do without


class Living:
    """A teacher that is asked only while it lives. Before its first request the provider's list of models is read, where
    there is one that tells `shutdown_date` (OpenAI does since 2026)."""

    def __init__(
        self,
        teacher: Teacher,
        table: TeacherTable,
        wire: HttpConnection,
        say: Callable[[str], None],
    ) -> None:
        self.identity, self.takes = teacher.identity, teacher.takes
        self._teacher, self._table, self._wire, self._say = teacher, table, wire, say
        self._looked: asyncio.Future[None] | None = None

    async def ask(self, request: Request, name: str = "") -> Completion:
        if self._looked is None:
            self._looked = asyncio.ensure_future(self._look())
        if not self._looked.done() or self._looked.exception():
            await asyncio.shield(self._looked)
        return await self._teacher.ask(request, name)

    async def _look(self) -> None:
        refuse_past_its_end(self._table)
        if self._table.host is None:
            return  # a server of our own
        ending = await told_by(self._wire, self._table)
        day = today()
        if ending and ending.past(day):
            raise PastItsEnd(ending, day, self._table.mode)
        if sentence := (
            f"{ending.sentence(day)}; {ending.cure(day, self._table.mode)}"
            if ending and ending.near(day)
            else warning(self._table)
        ):
            self._say(sentence)


async def told_by(wire: HttpConnection, table: TeacherTable) -> Ending | None:
    """When the provider's own list says that the model will shut down; None where it has no list, or says nothing."""
    try:
        async with asyncio.timeout(_WITHIN):
            listed = await wire.models()
    except (TimeoutError, Failure, Fatal):
        return None
    said = next((row for row in listed if row.get("id") == table.model.removeprefix("models/")), {})
    try:
        day = date.fromisoformat(str(said.get("shutdown_date"))[:10])
    except ValueError:
        return None
    known = table.ending()
    source = f"{wire.address}/models"
    if known is not None:
        return replace(known, day=day, source=source)
    return Ending(table.model, table.provider, day, source)
