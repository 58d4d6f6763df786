"""Bugs of other tools' books, each a test here: against a provider that is a process of its own and keeps its own books.

litellm, alpaca_eval, bespokelabs-curator, aider, codecarbon and SkyPilot had them; the figures are from their issues.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.machine import lease
from alpaca_pipe.ledger.machine.config import LeaseTerms
from alpaca_pipe.ledger.machine.energy import measured
from alpaca_pipe.ledger.machine.lease import Heartbeat, Lease
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import PriceTable, book, price_of
from alpaca_pipe.ledger.reconcile.reconcile import Reconciliation, reconcile
from alpaca_pipe.ledger.statements.sums import BY, sums
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.migrations import MIGRATIONS
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from tests.proving.books import reading
from tests.proving.start import Proving, proving

PRICE = {"in": 0.15, "cache_read": 0.0375, "out": 0.60}  # the proving server's own
IN_BATCH = {
    "kind": "openai_batch",
    "poll": 0.05,
    "price": {"in": 0.075, "cache_read": 0.075, "out": 0.30},
}
LIMIT = 100  # tokens of a reply
TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    with proving(
        tmp_path_factory.mktemp("provider") / "books.sqlite", hang=3.0, retry_after=0.05
    ) as running:
        yield running


@dataclass
class Office:
    """A ledger, and the provider whose bills it must match."""

    path: Path
    provider: Proving

    def ask(
        self,
        count: int,
        *,
        caps: Caps = Caps(),  # noqa: B008
        name: str = "q",
        run: str = "monday",
        **teacher: Any,
    ) -> list[Completion | BaseException]:
        """So many questions, all at once."""
        table = TeacherTable.model_validate(
            {
                "kind": "openai_chat",
                "model": "m",
                "base_url": self.provider.url,
                "price": PRICE,
                "timeout": 1.0,
                "concurrency": 64,
            }
            | teacher
        )

        async def main() -> list[Completion | BaseException]:
            with Journal.open(self.path) as journal:
                async with connect(
                    table,
                    journal=journal,
                    caps=caps,
                    recipe="alpaca",
                    run=run,
                    stage="generate",
                    log=self.path.parent / "log",
                ) as metered:
                    return await asyncio.gather(
                        *(
                            metered.ask(
                                Request(
                                    (PromptMessage("user", f"{self.path} {name} {place}"),),
                                    {"max_tokens": LIMIT},
                                )
                            )
                            for place in range(count)
                        ),
                        return_exceptions=True,
                    )

        return asyncio.run(main())

    def totals(self) -> Totals:
        with Journal.open(self.path) as journal:
            return journal.totals()

    def kinds(self) -> list[tuple[str, int]]:
        with Journal.open(self.path) as journal:
            return [(entry.kind, entry.nanodollars) for entry in journal.entries()]

    def billed(self) -> list[int]:
        """What the provider billed to this ledger's attempts, in its own order."""
        with Journal.open(self.path) as journal:
            names = {entry.name for entry in journal.entries()}
        self.provider.quiet()
        with reading(self.provider.books) as db:
            return [
                row["nanodollars"]
                for row in db.execute("SELECT * FROM requests ORDER BY id")
                if row["name"] in names
            ]

    def reconciled(self, **options: Any) -> Reconciliation:
        """Against the whole of the provider's books; other tests' attempts are other ledgers'."""
        file = self.provider.focus(self.path.parent / "provider.csv")
        with Journal.open(self.path) as journal:
            names = {entry.name for entry in journal.entries()}
        head, *lines = file.read_text().splitlines()
        file.write_text(
            "\n".join([head, *(line for line in lines if line.rsplit(",", 1)[1] in names)]) + "\n"
        )
        return reconcile(self.path, file, **options)


@pytest.fixture
def office(provider: Proving, tmp_path: Path) -> Office:
    provider.weather(script=[], nature={}, faults={}, cached=0.3, reasoning=0.2, latency=0.0)
    return Office(tmp_path / "ledger.sqlite", provider)


# ---- litellm, alpaca_eval, curator: an unknown model costs $0


def test_an_unknown_model_is_never_free(office: Office) -> None:
    arrived = office.provider.state()["arrived"]
    for model in ("a-model-of-tomorrow", "gpt-4o-mini-2099-01-01", "GPT-4O-MINI"):
        with pytest.raises(
            UserError, match=f"no price is known for the model '{model}'.* - pin what it costs"
        ):
            office.ask(1, model=model, price=None)
    assert office.provider.state()["arrived"] == arrived  # nothing was sent
    assert office.totals() == Totals()


def test_an_unknown_model_is_free_only_where_somebody_says_so(office: Office) -> None:
    office.ask(2, price="free")
    assert office.totals() == Totals(requests=2, attempts=2)


# ---- litellm: streamed replies are $0 (830 EUR billed, $1.47 shown)


@pytest.mark.parametrize("fault", ["usage_missing", "usage_zero"])
def test_a_reply_without_its_usage_counts_at_its_ceiling_and_is_an_anomaly(
    office: Office, fault: str
) -> None:
    office.provider.weather(script=[fault])
    office.ask(1)
    (_, ceiling), (kind, cost), (odd, _) = office.kinds()
    assert (kind, cost, odd) == ("settled", ceiling, "anomaly")
    assert 0 < office.billed()[0] <= cost
    done = office.reconciled(write=True)  # and the provider's books set it right
    assert done.written == (("correction", 1),)
    assert office.totals().settled == office.billed()[0]


# ---- litellm, aider: cached tokens are billed twice (4x, 10.9x)


def test_cached_tokens_are_billed_once_at_their_own_price(office: Office) -> None:
    office.provider.weather(cached=1.0, reasoning=1.0)
    office.ask(16)
    with Journal.open(office.path) as journal:
        settled = [entry for entry in journal.entries() if entry.kind == "settled"]
    assert all(entry.usage["cache_read"] and entry.usage["reasoning_out"] for entry in settled)
    assert sorted(entry.nanodollars for entry in settled) == sorted(office.billed())
    assert office.reconciled().findings == {"equal": 16}
    full = (
        sum(
            sum(entry.usage[name] for name in ("uncached_in", "cache_read", "cache_write"))
            for entry in settled
        )
        * 150
    )
    out = sum(entry.usage["visible_out"] + entry.usage["reasoning_out"] for entry in settled) * 600
    assert out < office.totals().settled < full + out


# ---- litellm: a cap is overshot by the requests in flight; by batches in flight (+26 %)


def test_a_cap_holds_whatever_is_in_flight(office: Office) -> None:
    office.provider.weather(latency=0.02)
    office.ask(1, name="first")
    ceiling = office.kinds()[0][1]
    cap = 5 * ceiling
    seen: list[int] = []
    answers = _watched(office, seen, count=64, caps=Caps(api=cap))
    assert any(isinstance(answer, OverBudget) for answer in answers)
    assert any(isinstance(answer, Completion) for answer in answers)
    assert max(seen) <= cap
    assert sum(office.billed()) == office.totals().settled <= cap


def test_a_cap_holds_for_the_lines_of_batches_in_flight(office: Office) -> None:
    office.ask(1, name="first", **IN_BATCH)
    ceiling = office.kinds()[0][1]
    cap = 9 * ceiling
    seen: list[int] = []
    answers = _watched(office, seen, count=40, caps=Caps(api=cap), most_requests=4, **IN_BATCH)
    assert any(isinstance(answer, OverBudget) for answer in answers)
    assert max(seen) <= cap
    assert sum(office.billed()) == office.totals().settled <= cap


def _watched(office: Office, seen: list[int], **asked: Any) -> list[Completion | BaseException]:
    """Asks, while a second connection adds up what is settled, lost and open."""
    done = threading.Event()

    def watch() -> None:
        with Journal.open(office.path) as journal:
            while not done.is_set():
                totals = journal.totals()
                seen.append(totals.spent + totals.open)
                done.wait(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return office.ask(**asked)
    finally:
        done.set()
        watcher.join()


# ---- holds that leak ($805 held for $280 real)


def test_no_hold_outlives_its_request(office: Office) -> None:
    office.provider.weather(
        script=[
            "500",
            "reset",
            "429",
            "cut_body",
            "malformed",
            "hang_billed",
            "empty_choices",
            "filtered_unread",
            "503",
            "reset_billed",
        ]
    )
    office.ask(24, max_attempts=3)
    totals = office.totals()
    assert (totals.open, totals.pending) == (0, 0)
    assert totals.lost > 0  # counted, and said apart
    office.reconciled(write=True, complete=True)
    assert office.totals() == Totals(
        settled=sum(office.billed()), requests=totals.requests, attempts=totals.attempts
    )


def test_no_hold_outlives_a_run_that_gave_up(office: Office) -> None:
    office.provider.weather(script=["401"])
    assert any(isinstance(answer, UserError) for answer in office.ask(8))
    assert (office.totals().open, office.totals().pending) == (0, 0)


# ---- failed or retried calls are not billed; 429s are billed


def test_a_429_is_free_and_its_retry_is_billed_once(office: Office) -> None:
    office.provider.weather(script=["429", "429_retry_after"])
    office.ask(1)
    assert [kind for kind, _ in office.kinds()] == [
        "reserved",
        "released",
        "reserved",
        "released",
        "reserved",
        "settled",
    ]
    assert set(office.reconciled().findings) == {"equal"}
    assert office.totals().attempts == len(office.billed()) == 3


@pytest.mark.parametrize(
    "fault", ["reset_billed", "hang_billed", "cut_body", "cut_chunks", "malformed", "empty_choices"]
)
def test_what_was_generated_and_never_arrived_is_counted(office: Office, fault: str) -> None:
    office.provider.weather(script=[fault])
    office.ask(1)
    kinds = office.kinds()
    assert [kind for kind, _ in kinds] == ["reserved", "lost", "reserved", "settled"]
    assert office.totals().spent >= sum(office.billed()) > office.totals().settled
    assert office.reconciled(write=True).written == (("reconciled", 1),)
    assert office.totals().settled == sum(office.billed())


def test_a_truncated_reply_is_billed(office: Office) -> None:
    office.provider.weather(nature={"length": 1.0})
    answers = office.ask(4)
    assert {answer.finish for answer in answers if isinstance(answer, Completion)} == {"length"}
    assert office.reconciled().findings == {"equal": 4}
    assert office.totals().settled == sum(office.billed()) > 0


# ---- the batch discount is dropped, or a batch costs $0


def test_a_batch_has_its_own_price_and_is_never_free(office: Office) -> None:
    answers = office.ask(12, **IN_BATCH)
    assert all(isinstance(answer, Completion) for answer in answers)
    assert office.totals().settled == sum(office.billed()) > 0
    assert office.reconciled().findings == {"equal": 12}
    with Journal.open(office.path) as journal:
        assert list(sums(journal, "model").lines) == [("m, batch",)]


def test_no_batch_of_the_book_is_free_or_at_a_factor_of_our_own() -> None:
    batches = [price for price in book() if price.mode == "batch"]
    assert batches
    for price in batches:
        assert not price.free and price.source and price.checked
    with pytest.raises(UserError, match="no batch price is known"):
        price_of("text-davinci-003", TODAY, mode="batch")


# ---- history is re-priced when the price map moves


def test_a_price_that_moves_leaves_history_alone(office: Office, tmp_path: Path) -> None:
    office.ask(4, name="before")
    before, kept = office.totals().settled, office.kinds()
    office.ask(4, name="after", price={"in": 1500, "out": 6000})
    assert office.kinds()[: len(kept)] == kept
    with Journal.open(office.path) as journal:
        prices = {
            json.loads(row[0])["per_million"]["visible_out"]: row[1]
            for row in _read(
                journal,
                """SELECT prices.price, SUM(nanodollars) FROM entries JOIN prices ON prices.id = entries.price
                        WHERE kind = 'settled' GROUP BY prices.id""",
            )
        }
    assert prices["0.6"] == before and prices["6000"] > 1000 * before
    with (
        sqlite3.connect(office.path) as db,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        db.execute("UPDATE prices SET price = '{}'")
    office.ask(
        4, name="before", price={"in": 99, "out": 99}
    )  # served from our store, whatever it would cost today
    assert office.totals().requests == 8


# ---- float money


def test_money_is_never_a_float(office: Office) -> None:
    office.ask(50, price={"in": 0.1, "out": 0.7})
    with Journal.open(office.path) as journal:
        assert _read(
            journal, "SELECT DISTINCT typeof(nanodollars), typeof(frees) FROM entries"
        ) == [("integer", "integer")]
        assert _read(
            journal, "SELECT DISTINCT typeof(settled), typeof(lost), typeof(open) FROM balances"
        ) == [("integer",) * 3]
        exact = sum(
            Decimal(entry.usage["uncached_in"] + entry.usage["cache_read"]) * 100
            + Decimal(entry.usage["visible_out"] + entry.usage["reasoning_out"]) * 700
            for entry in journal.entries()
            if entry.kind == "settled"
        )
        for by in (None, *BY):
            assert sums(journal, by).total.settled == exact
    for value in (0.15, 0.075, 1e-3, 3):
        table = PriceTable.model_validate({"in": value, "out": value})
        assert isinstance(table.in_, Decimal) and str(table.in_) == str(value)


# ---- curator: a price is accepted only as an integer (0.15 is refused)


@pytest.mark.parametrize("price", [0.15, 0.0375, 15, 0, 1e-1, Decimal("0.15")])
def test_a_price_may_have_places_after_the_point(office: Office, price: Any) -> None:
    office.ask(1, price={"in": price, "out": price})
    with Journal.open(office.path) as journal:
        entry = list(journal.entries())[-1]
    each = [
        (Decimal(count) * Decimal(str(price)) * 1000).quantize(Decimal(1), ROUND_HALF_EVEN)
        for count in entry.usage.values()
    ]
    assert entry.nanodollars == sum(each)


# ---- codecarbon: several ranks are counted as several GPUs


def test_several_ranks_are_one_rental_and_one_meter() -> None:
    """Four processes train on one machine with two GPUs: it is billed once, and each counter is read once."""
    terms = LeaseTerms(
        "gpu",
        "2 x H200",
        gpus=("GPU-a", "GPU-b"),
        per_hour=2 * 3_590_000_001,
        watts=1400,
        per_kwh=NANO,
    )
    with _ledger() as db:
        ranks = [
            Lease(f"rank{rank}", "alpaca", "box", "1-1-1", "lease-shared", 0, terms)
            for rank in range(4)
        ]
        for rank in ranks:
            lease.reserve(db, rank, Caps(), "train", 3_600_000, 0)
            lease.write_beat(
                db, rank.run, Heartbeat(0, "train", "train", {"GPU-a": 0, "GPU-b": 0}, rank)
            )
        for rank in ranks:
            lease.write_beat(
                db,
                rank.run,
                Heartbeat(
                    3_600_000, "train", "train", {"GPU-a": 1_800_000_000, "GPU-b": 900_000_000}
                ),
            )
            lease.close(db, rank)
        settled = dict(
            db.execute(
                "SELECT class, SUM(nanodollars) FROM entries WHERE kind = 'settled' GROUP BY class"
            )
        )
        seconds = db.execute(
            "SELECT SUM(json_extract(usage, '$.seconds')) FROM entries WHERE class = 'gpu'"
        ).fetchone()[0]
    assert settled["gpu"] == 2 * 3_590_000_001  # one hour of the machine, not four
    assert seconds == 3600
    assert settled["energy"] == round(
        measured(2_700_000, terms.pue).kwh * NANO
    )  # 0.75 kWh, each UUID once


# ---- SkyPilot: clusters that never launched are billed ($880)


def test_a_machine_that_never_launched_costs_nothing() -> None:
    terms = LeaseTerms("gpu", "8 x H100", per_hour=20 * NANO)
    with _ledger() as db:
        mine = Lease("monday", "alpaca", "box", "1-1-1", "lease-monday", 0, terms)
        lease.reserve(
            db, mine, Caps(), "train", 44 * 3_600_000, 0
        )  # $880 are held, and no sign of life ever comes
        held = db.execute("SELECT SUM(open), SUM(settled) FROM balances").fetchone()
        assert held == (880 * NANO, 0)
        lease.recover(db, "alpaca", "box")
        assert db.execute("SELECT SUM(open), SUM(settled), SUM(lost) FROM balances").fetchone() == (
            0,
            0,
            0,
        )
        assert db.execute("SELECT kind FROM entries ORDER BY id DESC LIMIT 1").fetchone() == (
            "released",
        )


@contextmanager
def _ledger() -> Iterator[sqlite3.Connection]:
    """The tables of a ledger, in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for migration in MIGRATIONS:
            migration(db)
        yield db


def _read(journal: Journal, sql: str) -> list[tuple[Any, ...]]:
    with journal.read() as db:
        return db.execute(sql).fetchall()
