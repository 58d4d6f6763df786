"""[teachers check] One priced ping: whom we ask, what it takes, at which price; then a tiny request, booked like any other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, Caps, ceiling_of
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher
from alpaca_pipe.teachers.metering.giving_up import AskedInVain
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.openai.error_mapping import key_from
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter

_QUESTION = "Answer with the one word: pong"
_CURE = (
    "the question is always the same small one, so look whether its provider reports an outage and whether "
    "`teacher.base_url` and `teacher.model` are right, then check again later"
)
_MOST_TOKENS = 16  # of the reply; some models refuse a smaller limit


def check(
    table: TeacherTable,
    *,
    journal: Journal,
    caps: Caps,
    recipe: str,
    log: Path,
    tell: Callable[[str], None],
) -> Completion:
    """Sends one request and tells, line by line, what is known before and after; answers the reply. It is entered under the
    recipe, stage "check"; its budget holds. A batch teacher is asked online: that tries address, key and model too.

    Raises UserError where it does not go well.
    """
    return asyncio.run(_check(table.online(), journal, caps, recipe, log, tell))


async def _check(
    table: TeacherTable,
    journal: Journal,
    caps: Caps,
    recipe: str,
    log: Path,
    tell: Callable[[str], None],
) -> Completion:
    refuse_past_its_end(table)
    price = table.priced()
    tell(f"teacher    {table.kind}, model '{table.called}'")
    tell(f"asks       {_whom(table)}")
    tell(f"price      {_priced(price)}")
    if doubt := price.doubt(today()):
        tell(f"note       {doubt}")
    key_from(os.environ, table.key_variable)  # told before anything is started
    async with open_teacher(
        table, log=log, say=lambda sentence: tell(f"note       {sentence}")
    ) as teacher:
        tell(f"takes      {', '.join(sorted(teacher.takes))}")
        request = _ping(teacher)
        tell(
            f"ceiling    {exactly(ceiling_of(request, price))} for one request of at most {_MOST_TOKENS} tokens"
        )
        pace = RateLimiter(1)
        metered = Metered(
            teacher,
            journal=journal,
            price=price,
            caps=caps,
            recipe=recipe,
            run=f"check-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}",
            stage="check",
            pace=pace,
            attempts=1,
            model=table.called,
            say=lambda sentence: tell(f"note       {sentence}"),
        )
        began = time.monotonic()
        try:
            reply = await metered.ask(request)
        except AskedInVain as error:  # neither a prompt nor a seed of the recipe's is to blame
            raise UserError(error.what, _CURE) from None
        seconds = time.monotonic() - began
    _tell_reply(reply, seconds, journal, tell)
    limits = [
        f"{gauge.limit:,.0f} {name} ({gauge.left:,.0f} left)" for name, gauge in pace.limits.items()
    ]
    tell(f"limits     {', '.join(limits) or 'it tells of none'}")
    return reply


def _tell_reply(
    reply: Completion, seconds: float, journal: Journal, tell: Callable[[str], None]
) -> None:
    entries = journal.entries_of(reply.key)
    cost = sum(entry.nanodollars for entry in entries if entry.kind == "settled")
    fingerprint = f", fingerprint {reply.fingerprint}" if reply.fingerprint else ""
    tell(f"served by  {reply.model_said or 'it does not say'}{fingerprint}")
    usage = reply.usage
    tell(
        f"took       {seconds:.2f} s; {usage.tokens_in} tokens in, {usage.tokens_out} out; {exactly(cost)} settled"
    )
    tell(f"said       {reply.text.strip()[:60]!r} ({reply.finish})")
    for entry in entries:
        if entry.kind == "anomaly":
            tell(f"anomaly    {entry.note}")


def _ping(teacher: Teacher) -> Request:
    """A new draw each time: a stored reply would say nothing about today."""
    limit = next((name for name in reversed(OUTPUT_LIMITS) if name in teacher.takes), None)
    limit = "max_tokens" if "max_tokens" in teacher.takes else limit
    return Request(
        (PromptMessage("user", _QUESTION),),
        {limit: _MOST_TOKENS} if limit else {},
        sample=time.time_ns() // 1_000_000,
    )


def _whom(table: TeacherTable) -> str:
    if table.host is None:
        return "a server of our own on this machine, no key"
    way = f" by the proxy {proxy}" if (proxy := table.http_options.get("proxy")) else ""
    return f"{table.address}{way}, {f'the key in {table.key_variable}' if table.key_variable else 'no key'}"


def _priced(price: Price) -> str:
    if price.free:
        return f"free ({price.source})"
    each = ", ".join(
        f"${amount.normalize():f} {name}" for name, amount in price.per_million.items()
    )
    age = ""
    if price.checked:
        age = f", checked {price.checked} ({(today() - price.checked).days} days ago)"
    return f"{each} a million tokens; {price.source}{age}"


def exactly(nanodollars: int) -> str:
    """Every digit, without trailing zeros: `$0.0000069`."""
    return f"${(Decimal(nanodollars) / NANO).normalize():f}"
