"""A teacher past its end is not asked: by the price book, by the user's file, or by what the provider's own list of models says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.end_of_life import Ending, PastItsEnd
from alpaca_pipe.teachers.base import Denied, Failure, Fatal, Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.openai.error_mapping import without_keys
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
        self._names: list[str] = []  # that the provider lists

    async def ask(self, request: Request, name: str = "") -> Completion:
        if self._looked is None:
            self._looked = asyncio.ensure_future(self._look())
        if not self._looked.done() or self._looked.exception():
            await asyncio.shield(self._looked)
        try:
            return await self._teacher.ask(request, name)
        except Denied as denied:
            raise self._with_names(denied) from None

    def _with_names(self, denied: Denied) -> Denied:
        """A model that the provider's own list does not hold: the nearest that it does."""
        asked = self._table.called.removeprefix("models/")
        if not self._names or asked in self._names or "teacher.model" not in denied.cure:
            return denied
        near = without_keys(did_you_mean(asked, self._names))
        return Denied(
            denied.what, f"its own list of models holds no '{asked}': {near}; {denied.cure}"
        )

    async def _look(self) -> None:
        refuse_past_its_end(self._table)
        if self._table.host is None:
            return  # a server of our own
        listed = await _listed(self._wire)
        self._names = sorted(str(row["id"]) for row in listed if row.get("id"))
        ending = told_by(listed, self._wire, self._table)
        day = today()
        if ending and ending.past(day):
            raise PastItsEnd(ending, day, self._table.mode)
        if sentence := (
            f"{ending.sentence(day)}; {ending.cure(day, self._table.mode)}"
            if ending and ending.near(day)
            else warning(self._table)
        ):
            self._say(sentence)


async def _listed(wire: HttpConnection) -> list[dict[str, Any]]:
    """The provider's own list of models; [] where it has none."""
    try:
        async with asyncio.timeout(_WITHIN):
            return await wire.models()
    except (TimeoutError, Failure, Fatal):
        return []


def told_by(
    listed: list[dict[str, Any]], wire: HttpConnection, table: TeacherTable
) -> Ending | None:
    """When that list says that the model will shut down; None where it says nothing."""
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
