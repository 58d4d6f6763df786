"""The ledger with 500,000 entries: what an attempt costs, and how long one waits for the file and for a statement.

Limits: 1,000 attempts a second on 2 cores, from the issue; 2 s for a statement.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import Price, price_of
from alpaca_pipe.ledger.reconcile.reconcile import reconcile
from alpaca_pipe.ledger.statements.exports import export_focus
from alpaca_pipe.ledger.statements.sums import By, sums
from alpaca_pipe.ledger.store.journal import Journal, keep_price
from tests.bench.table import median_seconds, publish

ENTRIES = 500_000
CAPS = Caps(total=10**9 * NANO, api=10**9 * NANO, everywhere=Caps(total=10**9 * NANO))
REQUEST = Request(
    (PromptMessage("user", "Name a colour, and say in one sentence where it is found in nature."),),
    {"max_tokens": 200},
)


def filled(path: Path) -> None:
    """Half a million entries of four recipes and two models over a month, as the journal writes them; replies too."""
    prices = [
        price_of(model, datetime.now(UTC).date()) for model in ("gpt-4o-mini", "gpt-4.1-nano")
    ]
    began = datetime(2026, 9, 1, tzinfo=UTC)

    def work(db: sqlite3.Connection) -> None:
        rows = []
        for price in prices:
            keep_price(db, price)
        for number in range(ENTRIES // 2):
            price = prices[number % 2]
            at = (began + timedelta(seconds=number * 10)).isoformat(timespec="milliseconds")
            common = (
                at,
                "machine00000",
                f"recipe{number % 4}",
                f"run{number % 40}",
                "generate",
                f"r1-{number:032x}",
                1,
            )
            rows.append((*common, "reserved", "api", 200_000, 0, None, price.id, ""))
            if number % 50:
                usage = Usage(200 + number % 90, number % 3 * 40, 0, 60 + number % 70, 0)
                rows.append(
                    (
                        *common,
                        "settled",
                        "api",
                        price.cost(usage),
                        200_000,
                        canonical(vars(usage)),
                        price.id,
                        "",
                    )
                )
            else:
                rows.append((*common, "lost", "api", 200_000, 200_000, None, price.id, "time-out"))
        db.executemany(f"INSERT INTO entries VALUES (NULL, {', '.join('?' * 14)})", rows)

    with Journal.open(path) as journal:
        journal.write(work).result()


def attempts_a_second(
    journal: Journal, price: Price, count: int, in_flight: int
) -> tuple[float, float]:
    """Reserve and settle, so many at once, each waiting for its own fsync as a request does: how many a second, and the
    CPU's milliseconds for one."""

    async def one(number: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            attempt = await asyncio.wrap_future(
                journal.reserve(
                    f"r1-bench-{in_flight}-{number}",
                    200_000,
                    price,
                    CAPS,
                    recipe="bench",
                    run="bench",
                    stage="generate",
                )
            )
            assert isinstance(attempt, Attempt)
            completion = Completion(
                "Blue is found in the sky.", "stop", Usage(30, 0, 0, 9), model_said=price.model
            )
            await asyncio.wrap_future(
                journal.settle(
                    attempt,
                    completion,
                    price.cost(completion.usage),
                    request=REQUEST,
                    teacher={"url": "https://api.test/v1", "model": price.model},
                )
            )

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(in_flight)
        await asyncio.gather(*(one(number, gate) for number in range(count)))

    began, busy = time.perf_counter(), time.process_time()
    asyncio.run(all_of_them())
    return count / (time.perf_counter() - began), (time.process_time() - busy) / count * 1000


@pytest.mark.slow
def test_half_a_million_entries(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    filled(path)
    price = price_of("gpt-4o-mini", datetime.now(UTC).date())
    rows: list[dict[str, object]] = []

    def seconds(what: str, work: Callable[[], object], limit: str = "", times: int = 3) -> None:
        busy = time.process_time()
        median = median_seconds(work, times)
        each = (time.process_time() - busy) / (times + 1)
        rows.append(
            {"what": what, "median": f"{median:.2f} s", "limit": limit, "CPU": f"{each:.2f} s"}
        )

    with Journal.open(path) as journal:
        for in_flight in (1, 32, 256):
            rate, each = attempts_a_second(
                journal, price, 4000 if in_flight > 1 else 300, in_flight
            )
            rows.append(
                {
                    "what": f"reserve + settle a second, {in_flight} in flight",
                    "median": f"{rate:,.0f}",
                    "limit": "1,000" if in_flight == 256 else "",
                    "CPU": f"{each:.2f} ms each",
                }
            )
        seconds(
            "open, with the check of its balances",
            lambda: Journal.open(path, read_only=True).close(),
            "0.5 s",
        )
        for by in (None, *("model", "day", "machine")):
            asked: By | None = by  # type: ignore[assignment]
            seconds(
                f"statement by {by or 'recipe, stage and class'}",
                lambda asked=asked: sums(journal, asked),
                "2 s",
            )
    focus = tmp_path / "focus.csv.gz"
    seconds("export as FOCUS", lambda: export_focus(path, focus), times=1)
    seconds("reconcile with that, line by line", lambda: reconcile(path, focus), times=1)
    pages = tmp_path / "costs.json"
    pages.write_text(
        json.dumps(
            {
                "data": [
                    {
                        "start_time": int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()),
                        "end_time": int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()),
                        "results": [],
                    }
                ]
            }
        )
    )
    seconds("reconcile with OpenAI's costs, day by day", lambda: reconcile(path, pages), times=1)
    rows.append({"what": "size of the file", "median": f"{path.stat().st_size / 1e6:.0f} MB"})
    publish("ledger", rows)
