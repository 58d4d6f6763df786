"""A model that has ended is refused before anything is sent, with what takes its place; one that will end is said to."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.today import VARIABLE, today
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.pricing.end_of_life import (
    WARNED,
    PastItsEnd,
    ending_of,
    endings,
    living,
)
from alpaca_pipe.ledger.pricing.listing import listing
from alpaca_pipe.ledger.pricing.token_prices import book, price_of, prices_on
from alpaca_pipe.ledger.statements.price_doubts import price_doubts
from alpaca_pipe.ledger.store.journal import Journal

OPENAI = "api.openai.com"
DAY = date(2026, 11, 30)


def test_an_ended_model_names_its_day_its_source_its_replacement_and_that_ones_price() -> None:
    ending = ending_of("gpt-4.1-nano", OPENAI)
    assert ending is not None and ending.day == date(2026, 10, 23)
    said = str(PastItsEnd(ending, DAY))
    assert "'gpt-4.1-nano' at api.openai.com ended on 2026-10-23" in said
    assert "https://developers.openai.com/api/docs/deprecations" in said
    assert "teacher.model=gpt-6-luna" in said and "$0.1 in, $0.5 out" in said
    assert "$0.05 in, $0.25 out" in str(PastItsEnd(ending, DAY, "batch"))
    assert "\n" not in said


def test_it_has_ended_on_its_day_and_not_the_day_before() -> None:
    ending = ending_of("gpt-4.1-mini", OPENAI)
    assert ending is not None
    assert ending.past(ending.day) and not ending.past(ending.day - timedelta(days=1))
    assert ending.near(ending.day - timedelta(days=WARNED))
    assert not ending.near(ending.day - timedelta(days=WARNED + 1))
    assert "in 1 day " in ending.sentence(ending.day - timedelta(days=1))


def test_the_end_is_one_hosts_word_about_its_own_model() -> None:
    assert ending_of("llama-3.1-8b-instant", "api.groq.com")
    assert ending_of("gpt-4.1-nano", "llm.example.com") is None  # a gateway may serve it on
    assert ending_of("gpt-4.1-nano", None) is None  # on paper nobody is asked


def test_every_ending_of_the_book_is_of_a_priced_model_and_names_a_living_priced_replacement() -> (
    None
):
    priced = {(price.provider, price.model) for price in book()}
    for (provider, model), ending in endings().items():
        assert (provider, model) in priced, model
        assert ending.source.startswith("https://"), model
        if ending.replacement:
            next_one = endings().get((provider, ending.replacement))
            assert next_one is None or next_one.day > ending.day, model
            assert (provider, ending.replacement) in priced, model


def test_nothing_that_has_ended_is_among_todays_offers() -> None:
    listed = listing("", DAY, teachers=True).teachers
    assert list(living(listed, DAY)) == list(listed)
    assert any(price.model == "gpt-4.1-nano" for price in prices_on(DAY))  # its price is history
    everything = listing("gpt-4.1-nano", DAY, everything=True, teachers=True).teachers
    assert {price.model for price in everything} >= {"gpt-4.1-nano"}


def test_who_looks_for_an_ended_model_is_told() -> None:
    with pytest.raises(PastItsEnd, match=r"gpt-4\.1-nano.*ended on 2026-10-23.*gpt-6-luna"):
        listing("gpt-4.1-nano", DAY, teachers=True)


def test_the_users_own_file_may_say_when_a_model_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(
        "- {model: my-model, host: llm.example.com, in: 1, out: 2, source: the landlord, "
        "ends: 2026-12-24, replacement: my-next}\n"
        "- {model: gpt-4.1-nano, host: api.openai.com, in: 0.1, out: 0.4, ends: 2028-01-01}\n"
    )
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(file))
    ending = ending_of("my-model", "llm.example.com")
    assert ending is not None and (ending.source, ending.replacement) == ("the landlord", "my-next")
    assert "the price book has no price for it here" in ending.cure(DAY)
    nano = ending_of("gpt-4.1-nano", OPENAI)
    assert nano is not None and nano.day == date(2028, 1, 1)  # the user's word goes before ours


def test_a_price_that_nobody_has_looked_at_for_90_days_is_doubted() -> None:
    price = price_of("gpt-6-luna", DAY, host=OPENAI, mode="batch")
    assert price.checked is not None
    assert price.doubt(price.checked + timedelta(days=90)) == ""
    assert "checked 91 days ago" in price.doubt(price.checked + timedelta(days=91))


def test_a_pinned_price_without_a_source_is_doubted_and_with_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(
        "- {model: a, host: x.example, in: 1, out: 2}\n"
        "- {model: b, host: x.example, in: 1, out: 2, source: the bill, checked: 2026-11-21}\n"
    )
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(file))
    assert "has no source" in price_of("a", DAY, host="x.example").doubt(DAY)
    assert price_of("b", DAY, host="x.example").doubt(DAY) == ""


def test_the_day_can_be_given_and_must_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2026-12-01")
    assert today() == date(2026, 12, 1)
    monkeypatch.setenv(VARIABLE, "tomorrow")
    with pytest.raises(UserError, match="holds no day: 'tomorrow'"):
        today()


def test_the_ledger_says_which_prices_were_old_when_they_were_paid(tmp_path: Path) -> None:
    price = price_of("gpt-4.1-mini", DAY, host=OPENAI)  # checked 2025-07-04
    fresh = price_of("gpt-6-luna", DAY, host=OPENAI, mode="batch")
    path = tmp_path / "ledger.sqlite"
    with Journal.open(path) as journal:
        for number, one in enumerate((price, fresh)):
            journal.reserve(
                f"r1-{number:032}", 10, one, Caps(), recipe="it", run="1", stage="generate"
            ).result()
        with journal.read() as db:
            (doubt,) = price_doubts(db, "it")
            assert price_doubts(db, "another") == []
    assert "'gpt-4.1-mini' at openai was last checked" in doubt
