"""Whoever waits longer than five seconds reads for what."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.ledger.store import connection, writer
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.ratelimit.limiter import SAID_FROM, RateLimiter
from tests.teachers.virtual import run


def waited(what: Any, **options: Any) -> list[str]:
    """What is said while `what(limiter)` runs in virtual time."""
    said: list[str] = []

    async def main(clock: Callable[[], float]) -> None:
        await what(RateLimiter(4, say=said.append, clock=clock, **options))

    run(main)
    return said


def nothing() -> None:
    pass


def test_a_server_that_asks_for_a_wait_is_named() -> None:
    async def what(limiter: RateLimiter) -> None:
        async with limiter.turn(1, nothing) as turn:
            turn.pushed_back(400.0)
        async with limiter.turn(1, nothing):
            pass

    assert waited(what)[0] == "waiting 400 s: the server asks for that"


def test_a_limit_that_is_used_up_is_named() -> None:
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "400",
    }

    async def what(limiter: RateLimiter) -> None:
        async with limiter.turn(1, nothing) as turn:
            turn.answered(1, 1, headers)
        async with limiter.turn(1, nothing):
            pass

    assert "the provider's limit of 100 requests a minute is used up" in waited(what)[0]


def test_the_recipes_own_limit_is_named_once_in_a_while() -> None:
    async def what(limiter: RateLimiter) -> None:
        for _ in range(8):
            async with limiter.turn(1, nothing):
                pass

    said = waited(what, requests_per_minute=6)  # ten seconds for each
    assert 1 <= len(said) <= 2 and "the recipe's limit of 6 requests a minute" in said[0]


def test_a_request_that_is_sent_again_late_is_named_and_a_short_wait_is_not() -> None:
    async def late(limiter: RateLimiter) -> None:
        await limiter.rest(1, 90.0, nothing)

    async def soon(limiter: RateLimiter) -> None:
        await limiter.rest(1, SAID_FROM - 1, nothing)

    assert "until a failed request is sent again - the server asks for that" in waited(late)[0]
    assert not waited(soon)


def holding(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_ledger_that_another_process_holds_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    path, told = tmp_path / "ledger.sqlite", list[Path]()
    with Journal.open(path) as journal:
        journal.write(lambda db: db.execute("PRAGMA busy_timeout = 1")).result(20)
        other = holding(path)

        def tell(ledger: Path) -> None:
            told.append(ledger)
            other.rollback()  # and lets go

        monkeypatch.setattr(writer, "tell_of_wait", tell)
        assert journal.write(lambda db: 7).result(20) == 7
        other.close()
    assert told == [path]


def test_opening_it_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(connection, "SAID_FROM", 0.01)
    path, told = tmp_path / "ledger.sqlite", list[Path]()
    path.touch()
    other = holding(path)

    def tell(ledger: Path) -> None:
        told.append(ledger)
        other.rollback()

    monkeypatch.setattr(connection, "tell_of_wait", tell)
    Journal.open(path).close()
    other.close()
    assert told == [path]
