"""A ledger on a real file, and short words for what happens to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.pricing.token_prices import Price, price_of
from alpaca_pipe.ledger.store.journal import Journal

TEACHER = {"url": "https://api.test/v1/chat/completions", "model": "gpt-4o-mini"}
REQUEST = Request((PromptMessage("user", "Name a colour."),), {"max_tokens": 20})


@dataclass
class Book:
    journal: Journal
    recipe: str = "alpaca"
    run: str = "monday"
    price: Price = field(default_factory=lambda: price_of("gpt-4o-mini", date(2026, 11, 21)))

    def reserve(self, key: str, ceiling: int = 1000, caps: Caps = Caps()) -> object:  # noqa: B008
        return self.journal.reserve(
            key, ceiling, self.price, caps, recipe=self.recipe, run=self.run, stage="generate"
        ).result()

    def opened(self, key: str, ceiling: int = 1000) -> Attempt:
        attempt = self.reserve(key, ceiling)
        assert isinstance(attempt, Attempt)
        return attempt

    def settle(self, attempt: Attempt, cost: int = 700, text: str = "Blue.") -> None:
        self.journal.settle(
            attempt,
            Completion(text, "stop", Usage(5, 1, 0, 2), model_said="gpt-4o-mini-2024-07-18"),
            cost,
            request=REQUEST,
            teacher=TEACHER,
        ).result()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "ledger.sqlite"


@pytest.fixture
def book(path: Path) -> Iterator[Book]:
    with Journal.open(path) as journal:
        yield Book(journal)
