"""The journal on a real file: append-only, billed once, one transaction, plain errors."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Short, Totals
from alpaca_pipe.ledger.store.journal import Journal, enter
from tests.ledger.conftest import REQUEST, TEACHER, Book
from tests.ledger.rows import machine_time


def test_a_reply_and_its_cost_come_back(book: Book) -> None:
    book.settle(book.opened("r1-a"))
    assert book.journal.totals("alpaca") == Totals(settled=700, requests=1, attempts=1)
    assert book.journal.stored("r1-a") == Completion(
        "Blue.", "stop", Usage(5, 1, 0, 2), "r1-a", "gpt-4o-mini-2024-07-18", from_store=True
    )
    assert [(e.kind, e.nanodollars, e.frees) for e in book.journal.entries_of("r1-a")] == [
        ("reserved", 1000, 0),
        ("settled", 700, 1000),
    ]
    row = book.journal.reply_row("r1-a")
    assert row is not None
    assert (row["text"], row["settled"], row["lost"], row["usage"]["cache_read"]) == (
        "Blue.",
        700,
        0,
        1,
    )
    assert (row["request"], row["teacher"], row["price"]["model"]) == (
        REQUEST.asked(),
        TEACHER,
        "gpt-4o-mini",
    )
    assert book.journal.reply_row("r1-b") is None


def test_what_is_stored_is_never_reserved_again(book: Book) -> None:
    book.settle(book.opened("r1-a"))
    again = book.reserve("r1-a")
    assert isinstance(again, Completion) and again.from_store
    assert book.journal.totals().attempts == 1


def test_states_are_shown_apart(book: Book) -> None:
    for key, end in (("r1-a", book.journal.release), ("r1-b", book.journal.lose)):
        end(book.opened(key), "why").result()
    book.opened("r1-c", 30)
    book.settle(book.opened("r1-a"))
    assert book.journal.totals("alpaca") == Totals(
        settled=700, lost=1000, open=30, requests=1, attempts=4, pending=1
    )
    assert book.journal.totals("alpaca", run="tuesday") == book.journal.totals("other") == Totals()
    assert [e.attempt for e in book.journal.entries_of("r1-a")] == [1, 1, 2, 2]


def test_only_what_reaches_a_teacher_is_an_attempt(book: Book) -> None:
    book.opened("r1-a")
    book.journal.reserve(
        "lease-a",
        50,
        book.price,
        Caps(),
        recipe="alpaca",
        run="monday",
        stage="train",
        class_="gpu",
    ).result()
    assert book.journal.totals() == Totals(open=1050, attempts=1, pending=2)
    book.journal.check()


def test_what_a_provider_said_later_is_part_of_a_replys_cost(book: Book) -> None:
    attempt = book.opened("r1-a")
    book.settle(attempt)
    book.journal.write(lambda db: enter(db, attempt, "correction", -200)).result()
    row = book.journal.reply_row("r1-a")
    assert row is not None and row["settled"] == book.journal.totals().settled == 500


def copied(**changed: str) -> str:
    """An INSERT of the settled row once more, with some columns changed."""
    columns = [
        "at",
        "machine",
        "recipe",
        "run",
        "stage",
        "request",
        "attempt",
        "kind",
        "class",
        "nanodollars",
        "frees",
        "usage",
        "price",
        "note",
    ]
    values = ", ".join(changed.get(name, name) for name in columns)
    return f"INSERT INTO entries SELECT NULL, {values} FROM entries WHERE kind = 'settled'"


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("UPDATE entries SET nanodollars = 0", "append-only"),
        ("DELETE FROM entries", "append-only"),
        ("UPDATE replies SET text = ''", "append-only"),
        ("DELETE FROM replies", "append-only"),
        ("UPDATE prices SET price = '{}'", "append-only"),
        ("DELETE FROM prices", "append-only"),
        ("INSERT OR REPLACE INTO entries SELECT * FROM entries", "nothing is written twice"),
        ("INSERT OR REPLACE INTO replies SELECT * FROM replies", "nothing is written twice"),
        (copied(), "nothing is written twice"),
        (copied(kind="'lost'"), "nothing is written twice"),
        (copied(attempt="attempt + 1"), "frees exactly what its attempt has reserved"),
        (copied(request="'x'", frees="0", nanodollars="0.5"), "CHECK constraint failed"),
        (copied(request="'x'", frees="0", kind="'settle'"), "unknown kind or class"),
        (copied(request="'x'", frees="0", **{"class": "'apis'"}), "unknown kind or class"),
    ],
)
def test_history_cannot_be_changed_nor_billed_twice(
    book: Book, path: Path, statement: str, refused: str
) -> None:
    book.settle(book.opened("r1-a"))
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match=refused):
        db.execute(statement)
    assert book.journal.totals().settled == 700
    book.journal.check()


def test_an_attempt_ends_once(book: Book) -> None:
    attempt = book.opened("r1-a")
    book.settle(attempt)
    for again in (
        lambda: book.settle(attempt),
        lambda: book.journal.lose(attempt).result(),
        lambda: book.journal.release(attempt).result(),
    ):
        with pytest.raises(sqlite3.IntegrityError, match="nothing is written twice"):
            again()
    assert book.journal.totals() == Totals(settled=700, requests=1, attempts=1)


def test_a_failing_piece_of_work_leaves_nothing_and_its_neighbours_stay(book: Book) -> None:
    attempt = book.opened("r1-a")
    book.journal.release(attempt).result()
    with pytest.raises(sqlite3.IntegrityError):
        book.settle(attempt)
    assert book.journal.stored("r1-a") is None  # the reply went with its entry


def test_dead_reservations_are_lost_once_at_their_ceiling(book: Book) -> None:
    book.settle(book.opened("r1-a"))
    book.opened("r1-b", 400)
    Book(book.journal, recipe="other").opened("r1-c", 50)
    assert book.journal.recover("alpaca") == 1
    assert book.journal.recover("alpaca") == 0
    assert book.journal.totals("alpaca") == Totals(settled=700, lost=400, requests=1, attempts=2)
    assert book.journal.totals("other").open == 50
    assert book.journal.entries_of("r1-b")[-1].run == "monday"


def test_a_free_reservation_of_a_dead_run_is_closed_too(book: Book) -> None:
    book.opened("r1-a", 0)
    assert book.journal.recover("alpaca") == 1
    assert book.journal.totals().pending == 0


def test_machine_time_is_a_row_that_is_not_a_request(book: Book) -> None:
    machine_time(book.journal, "alpaca", "monday", "train", 90.0)
    machine_time(
        book.journal,
        "alpaca",
        "monday",
        "train",
        3600.0,
        nanodollars_per_hour=5_000,
        note="a rented box",
    )
    assert book.journal.totals("alpaca") == Totals(settled=5_000)
    assert [e.usage for e in book.journal.entries()] == [{"seconds": 90.0}, {"seconds": 3600.0}]
    assert book.journal.totals("alpaca", class_="api") == Totals()


def test_prices_of_the_past_stay(book: Book, path: Path) -> None:
    """History was re-priced elsewhere when the price map moved: here an entry's price is in the file."""
    book.settle(book.opened("r1-a"))
    with sqlite3.connect(path) as db:
        kept = db.execute("SELECT price FROM prices WHERE id = ?", (book.price.id,)).fetchone()[0]
    assert '"visible_out":"0.6"' in kept
    assert {e.price for e in book.journal.entries()} == {book.price.id}


def test_two_openings_of_one_file_share_it(book: Book, path: Path) -> None:
    with Journal.open(path) as second, ThreadPoolExecutor(8) as pool:
        books = (book, Book(second, run="tuesday"))
        list(
            pool.map(
                lambda i: books[i % 2].settle(books[i % 2].opened(f"r1-{i}", 10), 1), range(200)
            )
        )
        assert (
            second.totals()
            == book.journal.totals()
            == Totals(settled=200, requests=200, attempts=200)
        )
        second.check()


def test_the_same_request_bought_by_two_is_billed_twice_and_stored_once(
    book: Book, path: Path
) -> None:
    with Journal.open(path) as second:
        other = Book(second, run="tuesday")
        mine, theirs = book.opened("r1-a"), other.opened("r1-a")
        other.settle(theirs, text="Green.")
        book.settle(mine, text="Blue.")
        stored = book.journal.stored("r1-a")
        assert stored is not None and stored.text == "Green."
        assert book.journal.totals().settled == 1400


def test_iterating_passes_a_thousand_rows_in_order(book: Book) -> None:
    futures = [
        book.journal.reserve(
            f"r1-{i}", 1, book.price, Caps(), recipe="alpaca", run="monday", stage="generate"
        )
        for i in range(2100)
    ]
    for future in futures:
        future.result()
    ids = [entry.id for entry in book.journal.entries("alpaca", "monday")]
    assert ids == sorted(ids) and len(ids) == 2100
    assert list(book.journal.entries("alpaca", "tuesday")) == []


def test_a_cap_counts_every_state_of_its_class(book: Book) -> None:
    book.settle(book.opened("r1-a"))
    book.journal.lose(book.opened("r1-b", 100)).result()
    book.opened("r1-c", 50)
    machine_time(book.journal, "alpaca", "monday", "train", 3600, 40)
    assert isinstance(book.reserve("r1-d", 151, Caps(api=1000)), Short)
    short = book.reserve("r1-d", 111, Caps(api=1000, total=1000))
    assert short == Short("budget.total", 1000, 740, 100, 50, 111, waiting=True)
    assert not isinstance(book.reserve("r1-d", 110, Caps(api=1000, total=1000)), Short)
    assert not isinstance(
        Book(book.journal, recipe="other").reserve("r1-e", 1000, Caps(api=1000)), Short
    )


# ---- disks and files that do not behave


def test_a_full_disk_is_one_sentence_and_the_ledger_stays_valid(book: Book, path: Path) -> None:
    book.settle(book.opened("r1-a"))
    attempt = book.opened("r1-b", 900)
    book.journal.write(
        lambda db: db.execute("PRAGMA max_page_count = 1").fetchall()
    ).result()  # SQLite's own "full"
    with pytest.raises(
        UserError, match="the disk is full, so the ledger .* - free some space and run the same"
    ):
        book.settle(attempt, text="x" * 100_000)
    book.journal.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall()).result()
    assert book.journal.totals().open == 900
    assert book.journal.recover("alpaca") == 1
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    book.journal.check()


def test_a_file_that_is_no_ledger_is_said_so(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("dear diary, " * 200)
    for read_only in (False, True):
        with pytest.raises(UserError, match="is not a ledger, or it is damaged"):
            Journal.open(path, read_only)
    assert path.read_text().startswith("dear diary")


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a workspace that you may write to"):
        Journal.open(tmp_path / "file" / "ledger.sqlite")


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder whose owner is whoever runs the test from here on; never root, whom no permission stops."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(os.getuid())


def test_a_read_only_folder_is_said_so_and_can_be_read(folder_of_nobody: Path) -> None:
    path = folder_of_nobody / "ledger.sqlite"
    with Journal.open(path) as journal:
        Book(journal).settle(Book(journal).opened("r1-a"))
    path.chmod(stat.S_IRUSR)
    folder_of_nobody.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="choose a workspace that you may write to"):
        Journal.open(path)
    with Journal.open(path, read_only=True) as journal:
        assert journal.totals().settled == 700


def test_reading_needs_a_ledger_and_changes_nothing(path: Path) -> None:
    with pytest.raises(UserError, match="there is no ledger at"):
        Journal.open(path, read_only=True)
    with Journal.open(path) as journal:
        Book(journal).settle(Book(journal).opened("r1-a"))
    before = path.read_bytes()
    with Journal.open(path, read_only=True) as journal:
        assert journal.totals().settled == 700 and len(list(journal.entries())) == 2
        with pytest.raises(RuntimeError, match="opened to be read"):
            machine_time(journal, "alpaca", "monday", "train", 1)
    assert path.read_bytes() == before


def test_balances_that_were_tampered_with_are_found_at_open(path: Path) -> None:
    with Journal.open(path) as journal:
        Book(journal).settle(Book(journal).opened("r1-a"))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE balances SET settled = 0")
    with pytest.raises(UserError, match="do not match its entries"):
        Journal.open(path)


steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "lose", "recover", "time"]),
        st.integers(0, 5),
        st.integers(0, 10**12),
    ),
    max_size=40,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_whatever_happens_the_balances_are_the_sum(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    with Journal.open(tmp_path_factory.mktemp("l") / "ledger.sqlite") as journal:
        book, waiting = Book(journal), {}
        for what, number, amount in steps:
            key = f"r1-{number}"
            if what == "reserve" and key not in waiting and journal.stored(key) is None:
                waiting[key] = book.opened(key, amount)
            elif what == "settle" and key in waiting:
                book.settle(waiting.pop(key), amount)
            elif what in ("release", "lose") and key in waiting:
                getattr(journal, what)(waiting.pop(key)).result()
            elif what == "recover":
                assert journal.recover("alpaca") == len(waiting)
                waiting.clear()
            elif what == "time":
                machine_time(journal, "alpaca", "monday", "train", 1.0, amount)
        journal.check()
        totals = journal.totals()
        assert totals.open == sum(attempt.ceiling for attempt in waiting.values())
        assert totals.pending == len(waiting)
