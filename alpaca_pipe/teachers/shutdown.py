"""A teacher past its end is not asked: by the price book, by the user's file, or by what the provider's own list of models says."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.end_of_life import Ending, PastItsEnd
from alpaca_pipe.ledger.store import connection
from alpaca_pipe.teachers.base import Failure, Fatal, Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection

_WITHIN = 10.0  # seconds for the provider's list of models, which most runs can do without


def refuse_past_its_end(table: TeacherTable, ledger: Path | None = None) -> None:
    """Raises PastItsEnd where nothing new can be asked of it any more, unless a ledger holds replies of it: they may be all
    that is wanted, and `Living` refuses what is not there."""
    day, ending = today(), table.ending()
    if ending and ending.past(day) and not (ledger and _has_answered(ledger, table)):
        raise PastItsEnd(ending, day, table.mode)


def _has_answered(ledger: Path, table: TeacherTable) -> bool:
    if not ledger.exists():
        return False
    asked = "SELECT 1 FROM replies WHERE teacher = ? LIMIT 1"
    try:
        with closing(connection.read_only(ledger)) as db:
            return db.execute(asked, (canonical(table.identity()),)).fetchone() is not None
    except (UserError, sqlite3.Error):
        return False  # of another version: no run has written there yet


def warning(table: TeacherTable) -> str:
    """That it will end within two months, and what to take then; "" where that is not so."""
    day, ending = today(), table.ending()
    if ending is None or ending.past(day) or not ending.near(day):
        return ""
    return f"{ending.sentence(day)}; {ending.cure(day, table.mode)}"


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
    said = next((row for row in listed if row.get("id") == table.model), {})
    try:
        day = date.fromisoformat(str(said.get("shutdown_date"))[:10])
    except ValueError:
        return None
    known = table.ending()
    source = f"{wire.address}/models"
    if known is not None:
        return replace(known, day=day, source=source)
    return Ending(table.model, table.provider, day, source)
