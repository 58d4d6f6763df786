"""The server's own books: a row for each HTTP request that reached it and each line of a batch, billed in nano-dollars.

Written apart from alpaca_pipe.ledger on purpose: two bookkeepers who agree must not be one.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from tests.proving.replies import Reply

CLASSES = ("uncached_in", "cache_read", "visible_out", "reasoning_out")
_ITEMS = {
    "uncached_in": "input",
    "cache_read": "cached input",
    "visible_out": "output",
    "reasoning_out": "output",
}


@dataclass(frozen=True)
class Row:
    """One HTTP request, or one line of a batch."""

    at: float  # seconds since 1970, when it arrived
    name: str  # X-Client-Request-Id, or custom_id
    asked: str  # replies.question: what was asked, whoever asked it
    model: str
    status: int  # that was answered, or was about to be
    fault: str = ""
    batch: str = ""  # id of the batch that the line is of
    uncached_in: int = 0
    cache_read: int = 0
    visible_out: int = 0
    reasoning_out: int = 0
    nanodollars: int = 0


_COLUMNS = [field.name for field in fields(Row)]


def billed(reply: Reply, price: Mapping[str, str]) -> dict[str, int]:
    """Nano-dollars of each class, each rounded once to the nearest, half to even."""
    return {
        name: int(
            (Decimal(getattr(reply, name)) * Decimal(price[name]) * 1000).quantize(
                Decimal(1), ROUND_HALF_EVEN
            )
        )
        for name in CLASSES
    }


class Books:
    """Rows wait in memory for the next `flush`, which every reading does first."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._waiting: list[Row] = []
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY, {', '.join(_COLUMNS)})"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS by_name ON requests (name)")

    def enter(self, row: Row) -> None:
        self._waiting.append(row)

    def flush(self) -> None:
        with (
            self._lock
        ):  # taken first: who comes second waits until the rows of the first are written
            waiting, self._waiting = self._waiting, []
            if waiting:
                self._db.execute("BEGIN")
                self._db.executemany(
                    f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
                    [astuple(row) for row in waiting],
                )
                self._db.execute("COMMIT")

    def rows(self, billed_only: bool = False) -> Iterator[Row]:
        self.flush()
        with self._lock:
            found = self._db.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM requests "
                f"WHERE NOT ? OR nanodollars > 0 ORDER BY id",
                (billed_only,),
            ).fetchall()
        return (Row(*row) for row in found)

    def focus(self) -> str:
        """FOCUS 1.2: one row for each request that was billed; its ResourceId is the attempt's name."""
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(
            [
                "BilledCost",
                "EffectiveCost",
                "ListCost",
                "ContractedCost",
                "BillingCurrency",
                "ChargeCategory",
                "ChargePeriodStart",
                "ChargePeriodEnd",
                "ProviderName",
                "ServiceName",
                "ServiceCategory",
                "ResourceId",
                "SkuId",
                "ConsumedQuantity",
                "ConsumedUnit",
                "x_ClientRequestId",
            ]
        )
        for row in self.rows(billed_only=True):
            cost, at = f"{dollars(row.nanodollars):f}", datetime.fromtimestamp(row.at, UTC)
            used = row.uncached_in + row.cache_read + row.visible_out + row.reasoning_out
            lines.writerow(
                [
                    cost,
                    cost,
                    cost,
                    cost,
                    "USD",
                    "Usage",
                    at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "proving",
                    "chat",
                    "AI and Machine Learning",
                    row.name,
                    row.model,
                    used,
                    "Tokens",
                    row.name,
                ]
            )
        return out.getvalue()

    def costs(self, prices: Mapping[bool, Mapping[str, str]]) -> str:
        """OpenAI's GET /v1/organization/costs, grouped by line item; amounts are exact. prices: by "is of a batch"."""
        days: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in self.rows(billed_only=True):
            day = int(row.at) // 86400 * 86400
            for class_, cost in billed(row, prices[bool(row.batch)]).items():  # type: ignore[arg-type]
                days[day][f"{row.model}{', batch' if row.batch else ''}, {_ITEMS[class_]}"] += cost
        buckets = []
        for day, items in sorted(days.items()):
            results = ", ".join(
                f'{{"object": "organization.costs.result", "amount": {{"value": {dollars(cost):f}, "currency": "usd"}}, '
                f'"line_item": "{item}", "project_id": null}}'
                for item, cost in sorted(items.items())
                if cost
            )
            buckets.append(
                f'{{"object": "bucket", "start_time": {day}, "end_time": {day + 86400}, "results": [{results}]}}'
            )
        return f'{{"object": "page", "data": [{", ".join(buckets)}], "has_more": false, "next_page": null}}\n'


def dollars(nanodollars: int) -> Decimal:
    return Decimal(nanodollars).scaleb(-9)


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """The books of a server, for a test that counts in them; call the server's `flush` first."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        yield db
    finally:
        db.close()
