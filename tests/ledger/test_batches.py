"""The books of batches: an intent with its lines before anything is sent, and each event once."""

from __future__ import annotations

import sqlite3

import pytest

from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs, Intent
from tests.ledger.conftest import REQUEST, TEACHER, Book


def intended(book: Book, *attempts: Attempt) -> Intent:
    return (
        BatchJobs(book.journal)
        .intend(
            [(attempt.name, REQUEST) for attempt in attempts],
            recipe=book.recipe,
            run=book.run,
            stage="generate",
            address="https://api.test/v1",
            teacher=TEACHER,
        )
        .result()
    )


def enter(book: Book, intent: Intent, event: str, provider: str = "") -> Intent:
    return BatchJobs(book.journal).enter(intent, event, provider).result()  # type: ignore[arg-type]


def test_an_intent_is_read_back_with_its_lines_and_what_the_provider_called_it(book: Book) -> None:
    books = BatchJobs(book.journal)
    first, second = book.opened("r1-a"), book.opened("r1-b", 2000)
    intent = intended(book, first, second)
    assert books.open("alpaca") == [intent] and books.open("other") == []
    intent = enter(book, enter(book, intent, "uploaded", "file-1"), "created", "batch-1")
    assert books.open("alpaca") == [intent] and (intent.file, intent.batch) == ("file-1", "batch-1")
    assert {line.attempt: (line.request, line.ended) for line in books.lines(intent)} == {
        first: (REQUEST, False),
        second: (REQUEST, False),
    }
    book.settle(first)
    assert books.unended(intent) == 1 and sum(line.ended for line in books.lines(intent)) == 1
    book.journal.release(second).result()
    assert books.unended(intent) == 0
    enter(book, intent, "collected")
    assert books.open("alpaca") == []


def test_an_event_is_entered_once_and_stays(book: Book) -> None:
    intent = intended(book, book.opened("r1-a"))
    enter(book, intent, "created", "batch-1")
    enter(
        book, intent, "created", "batch-2"
    )  # a run that died before it heard, and the one after it
    [again] = BatchJobs(book.journal).open("alpaca")
    assert again.batch == "batch-1"
    with pytest.raises(sqlite3.IntegrityError, match="unknown kind"):
        enter(book, intent, "forgotten")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        book.journal.write(lambda db: db.execute("DELETE FROM batches")).result()
    with pytest.raises(sqlite3.IntegrityError, match="nothing is written twice"):
        intended(
            book,
            Attempt("m", "alpaca", "monday", "s", "r1-x", 1, 0, ""),
            Attempt("m", "", "", "", "r1-x", 1, 0, ""),
        )
    assert [intent.id for intent in BatchJobs(book.journal).open("alpaca")] == [
        intent.id
    ]  # the whole of it, or nothing


def kinds(book: Book, key: str) -> list[str]:
    return [entry.kind for entry in book.journal.entries_of(key)]


def test_what_lies_with_a_provider_is_not_lost_with_its_run(book: Book) -> None:
    there, ended, online = (
        book.opened("r1-there"),
        book.opened("r1-ended"),
        book.opened("r1-online"),
    )
    intended(book, there)
    enter(book, intended(book, ended), "abandoned")
    assert book.journal.give_up(there).result() is False
    assert book.journal.recover("alpaca") == 2
    assert (kinds(book, "r1-there"), kinds(book, "r1-ended"), kinds(book, "r1-online")) == (
        ["reserved"],
        ["reserved", "lost"],
        ["reserved", "lost"],
    )
    assert online.ceiling + ended.ceiling == book.journal.totals("alpaca").lost
    book.settle(there)  # by the run that collects it
    assert kinds(book, "r1-there") == ["reserved", "settled"]


def test_what_was_to_go_into_a_batch_and_is_in_none_was_never_sent(book: Book) -> None:
    price = book.price
    book.price = Price(price.model, price.per_million, price.source, mode="batch")
    waiting, there = book.opened("r1-waiting"), book.opened("r1-there")
    intended(book, there)
    assert book.journal.recover("alpaca") == 0
    assert (kinds(book, waiting.request), kinds(book, "r1-there")) == (
        ["reserved", "released"],
        ["reserved"],
    )
    assert book.journal.totals("alpaca").open == there.ceiling
