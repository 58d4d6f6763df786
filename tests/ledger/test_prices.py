"""Prices: exact, dated, with a source; unknown is an error before anything is sent, never zero."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.table import Knob, Table
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.prices import CLASSES, Price, PriceTable, book, price_of

DAY = date(2026, 11, 21)


class Holder(Table):
    price: Annotated[PriceTable | None, Knob()] = None


def own(value: Any) -> PriceTable:
    price = Holder.model_validate({"price": value}).price
    assert price is not None
    return price


def test_an_unknown_model_is_an_error_that_says_how_to_pin_a_price() -> None:
    with pytest.raises(UserError, match=r"no price is known for the model 'gpt-4o-mimi'; did you mean 'gpt-4o-mini'\?.*"
                                        r"teacher\.price: \{in: 0\.15, out: 0\.60\}"):
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


@pytest.mark.parametrize("price", book(), ids=lambda price: f"{price.model}-{price.start}")
def test_every_row_of_the_book_is_whole(price: Price) -> None:
    assert set(price.per_million) == set(CLASSES)
    assert all(cost > 0 for cost in price.per_million.values())
    assert price.source and price.start and price.checked and price.checked <= DAY


def test_rows_of_one_model_never_overlap() -> None:
    last: dict[str, Price] = {}
    for price in book():
        before = last.get(price.model)
        if before is not None:
            assert before.end and price.start == before.end + timedelta(days=1), price.model
        last[price.model] = price


@pytest.mark.parametrize(("given_", "costs"), [
    ({"in": 0.15, "out": 0.60}, ("0.15", "0.15", "0.15", "0.6", "0.6")),
    ({"in": 1, "out": 2, "cache_read": 0.1, "cache_write": 1.25, "reasoning": 3}, ("1", "0.1", "1.25", "2", "3")),
    ({"in": 1, "out": 2, "cache_read": 0}, ("1", "0", "1", "2", "2")),  # an explicit zero is a price
    ("free", ("0", "0", "0", "0", "0")),
])
def test_a_recipe_pins_its_own_price(given_: Any, costs: tuple[str, ...]) -> None:
    price = price_of("any-model", DAY, own(given_))
    assert tuple(price.per_million[name] for name in CLASSES) == tuple(map(Decimal, costs))
    assert price.free == (given_ == "free")


@pytest.mark.parametrize("wrong", ["fre", {"in": 1}, {"in": -1, "out": 1}, {"in": 1, "out": 1, "input": 1},
                                   {"in": float("nan"), "out": 1}, {"in": True, "out": 1}])
def test_a_price_that_says_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        own(wrong)


def test_a_price_is_a_knob_and_completes_in_an_editor() -> None:
    assert Holder(price=own({"in": 1, "out": 2})).identity() == Holder().identity() == {}
    assert {"const": "free"} in Holder.model_json_schema()["$defs"]["PriceTable"]["anyOf"]


def test_each_class_is_billed_once_at_its_own_price() -> None:
    """litellm and aider billed cached tokens twice."""
    price = price_of("m", DAY, own({"in": 2, "cache_read": 0.5, "cache_write": 2.5, "out": 8, "reasoning": 9}))
    assert price.cost(Usage(100, 1000, 10, 50, 7)) == 1000 * (200 + 500 + 25 + 400 + 63)


def test_the_id_changes_with_everything_that_was_said() -> None:
    first = price_of("m", DAY, own({"in": 1, "out": 2}))
    assert first.id == price_of("m", DAY + timedelta(9), own({"in": 1.0, "out": 2.00})).id
    assert first.id != price_of("m", DAY, own({"in": 1, "out": 2.01})).id
    assert first.to_row()["per_million"]["uncached_in"] == "1"


counts = st.integers(0, 100_000)
costs = st.decimals(0, 100, places=7)


@given(st.tuples(*[counts] * 5), st.tuples(*[costs] * 5))
def test_no_mix_of_classes_costs_more_than_the_worst_case(tokens: tuple[int, ...], each: tuple[Decimal, ...]) -> None:
    price = Price("m", dict(zip(CLASSES, each, strict=True)), "test")
    usage = Usage(*tokens)
    assert price.cost(usage) <= price.worst(usage.tokens_in, usage.tokens_out)
