"""Two ledgers become one: a union, in which nothing is counted twice and nothing is forgotten."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import Merged, merge
from tests.ledger.conftest import Book
from tests.ledger.rows import Rows

AT = "2026-10-20 12:00:00"


def made(path: Path, fill: Callable[[Journal], object]) -> Path:
    with Journal.open(path) as journal:
        fill(journal)
    return path


def entries(path: Path) -> list[tuple[object, ...]]:
    """All rows without their numbers."""
    with sqlite3.connect(path) as db:
        return sorted(row[1:] for row in db.execute("SELECT * FROM entries"))


def totals(path: Path) -> Totals:
    with Journal.open(path) as journal:
        journal.check()
        return journal.totals()


def test_two_machines_become_a_union(tmp_path: Path) -> None:
    def laptop(journal: Journal) -> None:
        Rows(journal, machine="m1").settled("r1-a", AT, cost=5)
        Rows(journal, machine="m1").lost("r1-b", AT)

    def server(journal: Journal) -> None:
        Rows(journal, machine="m2").settled(
            "r1-a", AT, cost=7
        )  # the same request, bought there too
        Rows(journal, machine="m2").settled("r1-c", AT, cost=11)

    one, two = made(tmp_path / "one.sqlite", laptop), made(tmp_path / "two.sqlite", server)
    both = sorted(entries(one) + entries(two))
    assert merge(one, two) == Merged(entries=4)
    assert entries(one) == both
    assert totals(one) == Totals(settled=23, lost=1_000_000, requests=3, attempts=4)
    assert merge(one, two) == Merged()  # a second time adds nothing


def test_a_copy_that_went_on_elsewhere(book: Book, path: Path, tmp_path: Path) -> None:
    book.settle(book.opened("r1-a"))
    book.journal.close()
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    with Journal.open(copy) as journal:
        Book(journal).settle(Book(journal).opened("r1-b"), cost=3, text="Green.")
    assert merge(path, copy) == Merged(entries=2, replies=1)
    with Journal.open(path) as journal:
        stored = journal.stored("r1-b")
        assert stored is not None and stored.text == "Green."
        assert journal.totals() == Totals(settled=703, requests=2, attempts=2)


@pytest.mark.parametrize(("end", "settled"), [("settle", 700), ("release", 0)])
@pytest.mark.parametrize("into_copy", [True, False])
def test_what_one_gave_up_and_the_other_knows(
    path: Path, tmp_path: Path, end: str, settled: int, into_copy: bool
) -> None:
    """A copy is made while a request is under way; who has the copy takes it for lost, the other hears the answer."""
    copy = tmp_path / "copy.sqlite"
    with Journal.open(path) as journal:
        book = Book(journal)
        attempt = book.opened("r1-a")
    shutil.copy(path, copy)
    with Journal.open(copy) as journal:
        assert journal.recover("alpaca") == 1
    with Journal.open(path) as journal:
        Book(journal).settle(attempt) if end == "settle" else journal.release(attempt).result()
    into, other = (copy, path) if into_copy else (path, copy)
    assert merge(into, other).found == 1
    found = totals(into)
    assert (found.settled, found.lost, found.open, found.pending) == (settled, 0, 0, 0)
    merge(into, other)
    assert totals(into) == found


def test_ledgers_that_contradict_each_other_are_not_merged(tmp_path: Path) -> None:
    one = made(tmp_path / "one.sqlite", lambda journal: Rows(journal).settled("r1-b", AT, cost=5))
    two = made(
        tmp_path / "two.sqlite",
        lambda journal: [
            Rows(journal).settled("r1-a", AT, cost=1),
            Rows(journal).settled("r1-b", AT, cost=6),
        ],
    )
    three = made(tmp_path / "three.sqlite", lambda journal: Rows(journal).released("r1-b", AT))
    before = entries(one)
    for other, says in (
        (two, r"settled at \$0.000000005, .*two.sqlite has it settled at \$0.000000006"),
        (three, "three.sqlite has it released"),
    ):
        with pytest.raises(
            UserError,
            match=f"contradict each other about the attempt r1-b.1.m1.*{says}.*nothing was",
        ):
            merge(one, other)
        assert entries(one) == before


def test_batches_and_beats_come_along(path: Path, tmp_path: Path) -> None:
    def fill(journal: Journal) -> None:
        Rows(journal).opened("r1-a", AT)

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO beats (lease, at, phase) VALUES ('l1', '2026', 'train')")
            db.execute(
                "INSERT INTO batch_requests (intent, request, attempt, machine, asked) VALUES "
                "('i1', 'r1-a', 1, 'm1', '{}')"
            )

        journal.write(work).result()

    one, two = tmp_path / "one.sqlite", made(tmp_path / "two.sqlite", fill)
    merge(one, two)
    merge(one, two)
    with sqlite3.connect(one) as db:
        assert db.execute("SELECT lease, phase FROM beats").fetchall() == [("l1", "train")]
        assert db.execute("SELECT intent FROM batch_requests").fetchall() == [("i1",)]


def test_a_ledger_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no ledger at"):
        merge(tmp_path / "one.sqlite", tmp_path / "none.sqlite")


attempts = st.lists(
    st.tuples(st.sampled_from(["settled", "lost", "released", "opened"]), st.integers(0, 9)),
    max_size=10,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(attempts, attempts)
def test_the_order_of_merging_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    left: list[tuple[str, int]],
    right: list[tuple[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("l")

    def of(name: str, machine: str, what: list[tuple[str, int]]) -> Path:
        def fill(journal: Journal) -> None:
            for place, (end, request) in enumerate(what):
                getattr(Rows(journal, machine=machine), end)(f"r1-{request}", AT, attempt=place + 1)

        return made(folder / name, fill)

    one, two = of("one", "m1", left), of("two", "m2", right)
    shutil.copy(one, folder / "one again")
    shutil.copy(two, folder / "two again")
    merge(one, two)
    merge(folder / "two again", folder / "one again")
    assert entries(one) == entries(folder / "two again")
    assert totals(one) == totals(folder / "two again")
