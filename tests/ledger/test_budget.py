"""Caps: read exactly, bounded from above before anything is sent, explained when they are reached."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import (
    BudgetTable,
    Cap,
    Caps,
    OverBudget,
    bounds_of,
    ceiling_of,
    read_budget,
)
from alpaca_pipe.ledger.entries import Short, Totals
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import PriceTable, price_of

DAY = date(2026, 11, 21)
MINI = price_of("gpt-4o-mini", DAY)


def asked(text: str = "Name a colour.", **decoding: object) -> Request:
    return Request((PromptMessage("user", text),), decoding)


def test_a_budget_is_read_in_dollars_and_stays_out_of_the_identity() -> None:
    table = BudgetTable.model_validate({"total": 5, "api": 0.15})
    assert table.caps() == Caps(total=5 * NANO, api=150_000_000, gpu=None)
    assert table.identity() == {}
    assert BudgetTable().caps() == Caps()


def test_each_expense_meets_its_own_cap_and_the_total() -> None:
    caps = Caps(total=3, api=1, gpu=2)
    total = Cap("budget.total", 3, None, everywhere=False)
    assert list(caps.over("api")) == [Cap("budget.api", 1, "api", everywhere=False), total]
    assert list(caps.over("gpu")) == [Cap("budget.gpu", 2, "gpu", everywhere=False), total]
    assert list(caps.over("machine")) == [total]
    assert list(Caps(everywhere=caps).over("machine")) == [
        Cap("workspace budget.total", 3, None, everywhere=True)
    ]
    assert list(Caps().over("api")) == []


def test_a_paid_request_without_an_output_limit_is_an_error() -> None:
    with pytest.raises(UserError, match="'gpt-4o-mini' have no output limit.* - set max_tokens"):
        ceiling_of(asked(), MINI)
    with pytest.raises(UserError, match="no output limit"):
        ceiling_of(asked(max_tokens=None), MINI)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_tokens": 10, "max_completion_tokens": None},
        {"max_tokens": -1},
        {"max_tokens": 10, "max_output_tokens": True},
    ],
)
def test_a_limit_that_limits_nothing_is_none(limits: dict[str, object]) -> None:
    with pytest.raises(UserError, match="no output limit"):
        ceiling_of(asked(**limits), MINI)


def test_the_price_book_holds_for_the_usual_tier_only() -> None:
    mine = price_of("gpt-4o-mini", DAY, PriceTable.model_validate({"in": 1, "out": 2}))
    usual = [
        ceiling_of(asked(max_tokens=10, service_tier=tier), MINI)
        for tier in ("auto", "default", None)
    ]
    assert min(usual) > 0 and ceiling_of(asked(max_tokens=10, service_tier="priority"), mine) > 0
    with pytest.raises(
        UserError, match="service_tier 'priority' is billed differently .* - .*teacher.price"
    ):
        ceiling_of(asked(max_tokens=10, service_tier="priority"), MINI)


def test_a_free_teacher_needs_no_limit() -> None:
    free = price_of("local", DAY, PriceTable.model_validate("free"))
    assert ceiling_of(asked(), free) == 0


def test_the_ceiling_of_a_known_request() -> None:
    sent, brought = bounds_of(asked("héllo", max_completion_tokens=100))
    assert (sent, brought) == (6 + 8 + 64 + len('{"max_completion_tokens":100}'), 100)
    assert ceiling_of(asked("héllo", max_completion_tokens=100), MINI) == sent * 150 + 100 * 600


def test_several_replies_and_a_schema_count() -> None:
    one, three = asked(max_tokens=10), asked(max_tokens=10, n=3)
    assert bounds_of(three)[1] == 30
    assert (
        bounds_of(asked(max_tokens=10, response_format={"schema": "x" * 500}))[0]
        > bounds_of(one)[0] + 500
    )


@given(st.text(), st.integers(1, 5000))
def test_the_ceiling_is_never_below_bytes_and_limit(text: str, limit: int) -> None:
    assert ceiling_of(asked(text, max_tokens=limit), MINI) >= len(text.encode()) * 150 + limit * 600


def test_a_reached_budget_says_what_a_dollar_more_would_buy() -> None:
    short = Short(
        "budget.api",
        5 * NANO,
        settled=4 * NANO,
        lost=NANO // 2,
        open=0,
        ceiling=600_000_000,
        waiting=False,
    )
    error = OverBudget(short, Totals(settled=4 * NANO, requests=2000))
    assert str(error) == (
        "the budget of $5.00 (budget.api) is reached: $4.00 settled, $0.5000 lost until reconciled, and the next request "
        "may cost up to $0.6000 - raise budget.api and run again, nothing is asked twice; one more dollar buys about "
        "500 requests at the average so far"
    )
    assert "dollar buys" not in str(OverBudget(short, Totals()))


def test_a_rehearsal_has_no_caps() -> None:
    assert BudgetTable.model_validate({"total": 5, "api": 0}).rehearsed().caps() == Caps()


def test_the_workspace_has_a_budget_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "budget.yaml"
    assert read_budget(file) is None
    file.write_text("total: 50\napi: 0.15\n")
    assert read_budget(file) == BudgetTable.model_validate({"total": 50, "api": 0.15})
    for wrong, says in (
        ("total: much", "total: "),
        ("totl: 5", "totl: unknown key"),
        ("- 5", "input should be"),
        ("total: [", "these are not caps"),
        ("total: -1", "total: input should be greater than or equal to 0"),
    ):
        file.write_text(wrong)
        with pytest.raises(
            UserError, match=rf"budget\.yaml: {says}.* - write dollars like `total: 50`"
        ):
            read_budget(file)
