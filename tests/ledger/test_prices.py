"""Prices: exact, dated, with a source; unknown is an error before anything is sent, never zero."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.config_table import Knob, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import (
    CLASSES,
    Price,
    PriceTable,
    book,
    hosts,
    price_of,
    prices_on,
)
from alpaca_pipe.recipe.schema import load_recipe

DAY = date(2026, 11, 21)


class Holder(Table):
    price: Annotated[PriceTable | None, Knob()] = None


def own(value: Any) -> PriceTable:
    price = Holder.model_validate({"price": value}).price
    assert price is not None
    return price


def test_an_unknown_model_is_an_error_that_says_how_to_pin_a_price() -> None:
    with pytest.raises(
        UserError,
        match=r"no price is known for the model 'gpt-4o-mimi'; did you mean 'gpt-4o-mini'\?.*"
        r"teacher\.price: \{in: 0\.15, out: 0\.60\}",
    ):
        price_of("gpt-4o-mimi", DAY)


def test_a_day_before_the_first_row_has_no_price() -> None:
    with pytest.raises(UserError, match="no price for the model 'gpt-4.1-mini' on 2020-01-01"):
        price_of("gpt-4.1-mini", date(2020, 1, 1))


def test_the_row_of_the_day_is_taken() -> None:
    assert price_of("gpt-4o", date(2024, 10, 1)).per_million["visible_out"] == 15
    assert price_of("gpt-4o", date(2024, 10, 2)).per_million["visible_out"] == 10


def test_text_davinci_003_costs_two_cents_a_thousand() -> None:
    price = price_of("text-davinci-003", DAY)
    assert price.cost(Usage(uncached_in=600, visible_out=400)) == 20_000_000
    assert price.cost(Usage(uncached_in=25_000_000)) == 500 * NANO
    assert round(25_000_000 / 52_002) == 481  # what $500 bought Alpaca for each row that it kept


def test_every_row_of_the_book_is_whole() -> None:
    for price in book():
        assert set(price.per_million) == set(CLASSES), price
        assert all(cost > 0 for cost in price.per_million.values()), (
            price
        )  # a free tier is no price
        assert price.source and price.start and price.checked and price.checked <= DAY, price
        assert price.provider in hosts().values(), price
        assert price.end is None or price.start <= price.end, price


def test_rows_of_one_model_at_one_provider_in_one_mode_never_overlap() -> None:
    last: dict[tuple[str, str, str], Price] = {}
    for price in book():
        before = last.get(named := (price.provider, price.model, price.mode))
        if before is not None:
            assert before.end and price.start == before.end + timedelta(days=1), price.model
        last[named] = price


def test_on_no_day_has_a_model_two_prices_at_one_place() -> None:
    for day in (DAY, date(2026, 12, 1), date(2027, 1, 1), date(2024, 10, 1)):
        names = [(price.provider, price.model, price.mode) for price in prices_on(day)]
        assert len(names) == len(set(names)) == sum(price.holds(day) for price in book())


def test_a_price_belongs_to_the_host_that_asks_it() -> None:
    assert price_of("openai/gpt-oss-120b", DAY, host="api.groq.com").provider == "groq"
    groq, router = (
        price_of("openai/gpt-oss-120b", DAY, host=host)
        for host in ("api.groq.com", "openrouter.ai")
    )
    assert groq.per_million != router.per_million and groq.id != router.id


@pytest.mark.parametrize("host", ["llm.example.com", "", "api.groq.com"])
def test_a_model_that_is_known_elsewhere_has_no_price_here(host: str) -> None:
    with pytest.raises(
        UserError,
        match=r"no price is known for the model 'gpt-4o-mini' at .*; it is known at "
        r"api\.openai\.com.*another host may ask another price.*pin",
    ):
        price_of("gpt-4o-mini", DAY, host=host)


def test_on_paper_a_model_costs_what_openai_or_anybody_asks() -> None:
    assert price_of("gpt-4o-mini", DAY).provider == "openai"
    assert price_of("gpt-oss-120b", DAY).provider == "cerebras"


def test_a_batch_has_a_price_of_its_own() -> None:
    online, batch = (
        price_of("gpt-4.1-mini", DAY, host="api.openai.com", mode=mode)
        for mode in ("online", "batch")
    )
    assert online.per_million["visible_out"] == Decimal("1.6") and batch.per_million[
        "visible_out"
    ] == Decimal("0.8")
    assert (
        batch.per_million["cache_read"] == batch.per_million["uncached_in"]
    )  # its table has no cached column
    assert batch.id != online.id and batch.to_row()["mode"] == "batch"
    assert price_of("gpt-5-mini", DAY, host="api.openai.com", mode="batch").per_million[
        "cache_read"
    ] == Decimal("0.0125")


def test_a_batch_without_a_price_of_its_own_is_neither_free_nor_at_the_online_price() -> None:
    with pytest.raises(
        UserError,
        match="no batch price is known for the model 'gpt-3.5-turbo-instruct' at api.openai.com; "
        "the online price is known, and neither follows.*--mode batch",
    ):
        price_of("gpt-3.5-turbo-instruct", DAY, host="api.openai.com", mode="batch")


def test_an_announced_price_holds_from_its_day_on() -> None:
    def out(day: date) -> Decimal:
        return price_of(
            "gemini-4-argon", day, host="generativelanguage.googleapis.com"
        ).per_million["visible_out"]

    assert (out(date(2026, 11, 30)), out(date(2026, 12, 1))) == (10, 20)


def test_beyond_the_length_for_which_a_price_holds_there_is_no_ceiling() -> None:
    price = price_of("gpt-5.6-luna", DAY, host="api.openai.com")
    assert price.most_in == 272_000 and price.worst(272_000, 100) == 272_000 * 250 + 100 * 1200
    with pytest.raises(
        UserError,
        match=r"may have 272,001 tokens, and its price holds up to 272,000.*teacher\.price",
    ):
        price.worst(272_001, 100)


@pytest.mark.parametrize(
    "recipe", sorted(shipped("recipes").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_teacher_of_a_shipped_recipe_is_priced(recipe: Path) -> None:
    teacher = load_recipe(recipe.stem, CATALOG).tables.get("teacher")
    if teacher and teacher.kind != "local_server" and teacher.price is None:
        assert not price_of(teacher.model, DAY, host=teacher.host, mode=teacher.mode).free


@pytest.mark.parametrize(
    ("given_", "costs"),
    [
        ({"in": 0.15, "out": 0.60}, ("0.15", "0.15", "0.15", "0.6", "0.6")),
        (
            {"in": 1, "out": 2, "cache_read": 0.1, "cache_write": 1.25, "reasoning": 3},
            ("1", "0.1", "1.25", "2", "3"),
        ),
        (
            {"in": 1, "out": 2, "cache_read": 0},
            ("1", "0", "1", "2", "2"),
        ),  # an explicit zero is a price
        ("free", ("0", "0", "0", "0", "0")),
    ],
)
def test_a_recipe_pins_its_own_price(given_: Any, costs: tuple[str, ...]) -> None:
    price = price_of("any-model", DAY, own(given_))
    assert tuple(price.per_million[name] for name in CLASSES) == tuple(map(Decimal, costs))
    assert price.free == (given_ == "free")


@pytest.mark.parametrize(
    "wrong",
    [
        "fre",
        {"in": 1},
        {"in": -1, "out": 1},
        {"in": 1, "out": 1, "input": 1},
        {"in": float("nan"), "out": 1},
        {"in": True, "out": 1},
    ],
)
def test_a_price_that_says_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        own(wrong)


def test_a_price_is_a_knob_and_completes_in_an_editor() -> None:
    assert Holder(price=own({"in": 1, "out": 2})).identity() == Holder().identity() == {}
    assert {"const": "free"} in Holder.model_json_schema()["$defs"]["PriceTable"]["anyOf"]


def test_each_class_is_billed_once_at_its_own_price() -> None:
    """litellm and aider billed cached tokens twice."""
    price = price_of(
        "m", DAY, own({"in": 2, "cache_read": 0.5, "cache_write": 2.5, "out": 8, "reasoning": 9})
    )
    assert price.cost(Usage(100, 1000, 10, 50, 7)) == 1000 * (200 + 500 + 25 + 400 + 63)


def test_the_id_changes_with_everything_that_was_said() -> None:
    first = price_of("m", DAY, own({"in": 1, "out": 2}))
    assert first.id == price_of("m", DAY + timedelta(9), own({"in": 1.0, "out": 2.00})).id
    assert first.id != price_of("m", DAY, own({"in": 1, "out": 2.01})).id
    assert first.to_row()["per_million"]["uncached_in"] == "1"


counts = st.integers(0, 100_000)
costs = st.decimals(0, 100, places=7)


@given(st.tuples(*[counts] * 5), st.tuples(*[costs] * 5))
def test_no_mix_of_classes_costs_more_than_the_worst_case(
    tokens: tuple[int, ...], each: tuple[Decimal, ...]
) -> None:
    price = Price("m", dict(zip(CLASSES, each, strict=True)), "test")
    usage = Usage(*tokens)
    assert price.cost(usage) <= price.worst(usage.tokens_in, usage.tokens_out)
