"""`alpaca-pipe ledger`: lines by anything, summing to the balances, exact for machines."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.machine import energy
from alpaca_pipe.ledger.statements.statement import print_statement, to_text
from alpaca_pipe.ledger.statements.sums import BY, By, StatementLine, sums
from alpaca_pipe.ledger.store.journal import Journal, enter
from tests.ledger.conftest import REQUEST, Book
from tests.ledger.rows import COST, MINI, NANO, USED, Rows, machine_time


def filled(journal: Journal) -> None:
    """Two recipes, two models, two days, every state, machine time, an anomaly."""
    alpaca, other = (
        Rows(journal),
        Rows(journal, recipe="other", run="tuesday", price=NANO, machine="m2"),
    )
    alpaca.settled("r1-a", "2026-10-20 12:00:00")
    alpaca.settled("r1-b", "2026-10-21 00:00:05", began="2026-10-20 23:59:55")
    alpaca.lost("r1-c", "2026-10-20 12:00:00")
    alpaca.released("r1-d", "2026-10-20 12:00:00")
    alpaca.opened("r1-e", "2026-10-20 23:00:00")
    other.settled("r1-f", "2026-10-21 09:00:00")
    machine_time(journal, "alpaca", "monday", "train", 90.0, nanodollars_per_hour=40_000_000)
    journal.settle(
        Book(journal).opened("r1-g"),
        Completion("x", "stop", Usage()),
        5,
        request=REQUEST,
        teacher={},
        anomaly="the reply came without its usage: counted at its ceiling",
    ).result()


@pytest.mark.parametrize("by", [None, *BY])
def test_the_lines_are_the_balance_however_they_are_cut(book: Book, by: By | None) -> None:
    filled(book.journal)
    found, total = sums(book.journal, by), book.journal.totals()
    for name in ("settled", "lost", "open", "requests", "attempts"):
        assert (
            sum(getattr(line, name) for line in found.lines.values())
            == getattr(total, name)
            == getattr(found.total, name)
        )
    assert found.total.lost == found.total.open == 1_000_000
    assert found.anomalies == 1


def test_by_recipe_stage_and_class(book: Book) -> None:
    filled(book.journal)
    lines = sums(book.journal).lines
    assert set(lines) == {
        ("alpaca", "generate", "api"),
        ("alpaca", "train", "machine"),
        ("other", "generate", "api"),
    }
    assert lines["alpaca", "train", "machine"] == StatementLine(settled=1_000_000, seconds=90.0)
    line = lines["alpaca", "generate", "api"]
    assert (line.settled, line.lost, line.open) == (2 * COST + 5, 1_000_000, 1_000_000)
    assert (line.requests, line.attempts) == (3, 6)
    assert line.tokens == Usage(200, 80, 0, 100, 20)


def test_by_model_and_by_day(book: Book) -> None:
    filled(book.journal)
    models = sums(book.journal, "model").lines
    assert models["gpt-4.1-nano",].settled == NANO.cost(USED)
    assert models["machine",].seconds == 90.0
    days = sums(book.journal, "day").lines
    assert days["2026-10-20",] == StatementLine(
        settled=COST,
        lost=1_000_000,
        open=1_000_000,
        requests=1,
        attempts=5,
        asked=COST + 1_000_000,
        tokens=USED,
    )
    assert days["2026-10-21",].settled == COST + NANO.cost(
        USED
    )  # an attempt belongs to the day on which it ended


def test_one_recipe_alone_and_an_unknown_one(book: Book) -> None:
    filled(book.journal)
    assert sums(book.journal, recipe="other").total.settled == NANO.cost(USED)
    with pytest.raises(UserError, match="no entry of a recipe 'alpacca' - did you mean 'alpaca'"):
        sums(book.journal, recipe="alpacca")


def test_what_brought_no_reply_is_wasted(book: Book) -> None:
    rows = Rows(book.journal, ceiling=300)
    rows.settled("r1-a", "2026-10-20 12:00:00", cost=600)
    rows.settled("r1-a", "2026-10-20 12:00:01", cost=100, attempt=2)  # its answer was there already
    rows.lost("r1-b", "2026-10-20 12:00:00")
    total = sums(book.journal).total
    assert (total.again, total.lost, total.wasted) == (100, 300, 0.4)
    assert sums(book.journal, "recipe").lines["alpaca",].again == 100


def test_what_is_reconciled_belongs_to_the_day_of_its_attempt(book: Book) -> None:
    Rows(book.journal, ceiling=300).lost("r1-a", "2026-10-20 12:00:00")
    lost = Attempt("m1", "alpaca", "monday", "generate", "r1-a", 1, 300, MINI.id)
    book.journal.write(lambda db: enter(db, lost, "reconciled", 120)).result()
    line = sums(book.journal, "day").lines["2026-10-20",]
    assert (line.settled, line.lost, line.unheard) == (120, 0, 120)


def test_for_people(book: Book, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(book.journal)
    print_statement(path)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split()[:5] == ["recipe", "stage", "class", "settled", "lost"]
    assert "1.5 min" in out and "in all" in out
    assert (
        "1 anomaly; the last:" in out and "alpaca generate: the reply came without its usage" in out
    )
    print_statement(path, by="model")
    assert "tokens in cached" in capsys.readouterr().out


def test_for_machines_every_nanodollar_is_told(
    book: Book, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(book.journal)
    print_statement(path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["by"] == ["recipe", "stage", "class"]
    total = told["total"]
    assert total["nanodollars"]["settled"] == book.journal.totals().settled
    for name, amount in total["nanodollars"].items():
        assert isinstance(amount, int) and Decimal(total["dollars"][name]) * 10**9 == amount
    assert (
        sum(line["nanodollars"]["settled"] for line in told["lines"])
        == total["nanodollars"]["settled"]
    )
    assert told["anomalies"]["count"] == 1


def test_energy_says_what_was_measured_and_what_is_assumed(
    book: Book, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, found in enumerate(
        (
            energy.measured(3.6e6, pue=1.0, kg_per_kwh=0.5),
            energy.assumed(1, 250, pue=2.0, kg_per_kwh=0.5),
        )
    ):
        spent = Attempt("m1", "alpaca", "monday", "train", f"lease-{number}-energy", 1, 0, "")
        book.journal.write(
            lambda db, spent=spent, found=found: enter(
                db, spent, "settled", 0, class_="energy", usage=found.usage()
            )
        ).result()
    print_statement(path)
    out = capsys.readouterr().out
    assert (
        "energy: 1.5 kWh (1 measured by the GPUs' counters, 0.5 assumed from the power limit), 0.75 kg CO2e"
        in out
    )
    assert "kg CO2e" in out.splitlines()[0]
    print_statement(path, as_json=True)
    total = json.loads(capsys.readouterr().out)["total"]
    assert (total["kwh"], total["kwh_measured"], total["kg_co2e"]) == (1.5, 1.0, 0.75)


def test_nothing_was_spent_yet(book: Book, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_statement(path)
    assert "in all" in capsys.readouterr().out
    assert to_text(sums(book.journal, "run"))
    with pytest.raises(UserError, match="there is no ledger at"):
        print_statement(path.parent / "none.sqlite")


def test_balances_that_do_not_fit_are_an_error(book: Book, path: Path) -> None:
    filled(book.journal)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE balances SET attempts = attempts + 1 WHERE class = 'api'")
    with pytest.raises(UserError, match="do not sum to the ledger's balances"):
        sums(book.journal)


ends = st.lists(
    st.tuples(
        st.sampled_from(["settled", "lost", "released", "opened"]),
        st.integers(1, 28),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ends)
def test_any_history_adds_up_by_anything(
    tmp_path_factory: pytest.TempPathFactory, ends: list[tuple[str, int, int, bool]]
) -> None:
    with Journal.open(tmp_path_factory.mktemp("l") / "ledger.sqlite") as journal:
        for place, (end, day, recipe, other) in enumerate(ends):
            rows = Rows(journal, recipe=f"r{recipe}", machine="m2" if other else "m1")
            getattr(rows, end)(f"r1-{place}", f"2026-11-{day:02} 10:00:00")
        for by in (None, *BY):
            sums(journal, by)  # raises where the lines are not the balance
