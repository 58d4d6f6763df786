"""What a provider says that a reply used, cost and was served by: believed exactly, or doubted in the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.outside_numbers import exact_json
from alpaca_pipe.ledger.pricing.token_prices import PriceTable, price_of
from alpaca_pipe.teachers.metering.served_model import ServedModel, is_named
from alpaca_pipe.teachers.metering.settlement import entered
from alpaca_pipe.teachers.openai.chat_dialect import completion_of
from alpaca_pipe.teachers.openai.usage import BilledUsage, bill_of

PRICE = price_of("m", date(2026, 11, 21), PriceTable.model_validate({"in": 0.15, "out": 0.60}))
CEILING = 1_000_000


def bill(text: str) -> BilledUsage:
    return bill_of(exact_json(text))


def test_a_bill_is_read_to_the_last_digit_and_never_as_a_float() -> None:
    said = '{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.00014000000000000001}'
    assert bill(said) == BilledUsage(Usage(10, visible_out=5), 140_000)
    assert bill('{"cost": 0.1}').billed == 100_000_000
    assert bill('{"cost": 3e-9}').billed == 3
    assert bill('{"cost": 0}').billed == 0
    assert bill('{"cost": 1}').billed == 1_000_000_000


def test_with_a_key_of_ones_own_the_other_providers_part_is_added() -> None:
    details = '"cost_details": {"upstream_inference_cost": 0.0360795}'  # a reply of OpenRouter's, from forgecode#1641
    assert bill('{"cost": 0, "is_byok": true, ' + details + "}").billed == 36_079_500
    assert bill('{"cost": 0.04, "is_byok": false, ' + details + "}").billed == 40_000_000
    assert bill('{"cost": 0, "is_byok": true}').billed is None


@pytest.mark.parametrize(
    "cost", ['"free"', "null", "-1", "true", "NaN", "1e999", "[1]", '{"a": 1}', "Infinity"]
)
def test_a_bill_that_makes_no_sense_is_none(cost: str) -> None:
    assert bill('{"prompt_tokens": 1, "completion_tokens": 1, "cost": ' + cost + "}").billed is None


@pytest.mark.parametrize(
    "said",
    [
        '{"prompt_tokens": -5, "completion_tokens": 1}',
        '{"prompt_tokens": 1.5, "completion_tokens": 1}',
        '{"prompt_tokens": "10", "completion_tokens": 1}',
        '{"prompt_tokens": 10, "completion_tokens": true}',
        '{"prompt_tokens": 99999999999999, "completion_tokens": 1}',
        '{"prompt_tokens": [1]}',
        '{"prompt_tokens": 1, "prompt_tokens_details": 7}',
        '{"prompt_tokens": 1e400}',
        '{"prompt_tokens": 1e5000}',
    ],
)
def test_figures_that_are_no_counts_are_a_doubt_and_no_crash(said: str) -> None:
    read = bill(said)
    assert read.usage == Usage() and "make no sense" in read.doubt
    assert (
        entered(
            Completion("text", "stop", read.usage, doubt=read.doubt), 100, PRICE, CEILING
        ).nanodollars
        == CEILING
    )


def test_tokens_that_stand_only_in_the_total_are_billed_as_reasoning_and_noted() -> None:
    read = bill('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1016}')
    assert read.usage == Usage(10, visible_out=5, reasoning_out=1001)
    assert read.doubt == "its classes of tokens sum to 15, and its total says 1016"
    kept = entered(Completion("t", "stop", read.usage, doubt=read.doubt), 2000, PRICE, CEILING)
    assert (kept.nanodollars, kept.anomaly, kept.over) == (10 * 150 + 1006 * 600, read.doubt, False)


@pytest.mark.parametrize("total", ["3", "-1", '"many"', "1e5000", "1e3000000"])
def test_a_total_that_is_less_or_no_count_changes_nothing_and_is_noted(total: str) -> None:
    read = bill('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": ' + total + "}")
    assert (
        read.usage == Usage(10, visible_out=5) and "its classes of tokens sum to 15" in read.doubt
    )


@pytest.mark.parametrize(
    "said",
    [
        '"prompt_tokens_details": {"cached_tokens": 960}',
        '"prompt_cache_hit_tokens": 960, "prompt_cache_miss_tokens": 40',
        '"cached_tokens": 960',
        '"prompt_tokens_details": {"cached_tokens": 960}, "prompt_cache_hit_tokens": 7',
        '"prompt_tokens_details": {}, "prompt_cache_hit_tokens": 960, "cached_tokens": 7',
    ],
)
def test_what_came_from_the_cache_is_read_in_each_spelling(said: str) -> None:
    read = bill(
        '{"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010, ' + said + "}"
    )
    assert read == BilledUsage(Usage(40, cache_read=960, visible_out=10))


@pytest.mark.parametrize(
    "said",
    [
        '"prompt_tokens": 1e3000000',
        '"prompt_tokens": -1e3000000',
        '"prompt_tokens": 1e-3000000',
        '"cost": 1e3000000',
        '"cost": 1e-3000000',
    ],
)
def test_a_number_with_a_giant_exponent_is_never_written_out(said: str) -> None:
    """Who writes it out does not come back from here."""
    read = bill("{" + said + "}")
    assert not read.billed and (read.doubt or "cost" in said)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "prompt_tokens",
                    "completion_tokens",
                    "total_tokens",
                    "prompt_tokens_details",
                    "cached_tokens",
                    "completion_tokens_details",
                    "reasoning_tokens",
                    "cost",
                    "is_byok",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
)


@given(json_values, json_values, st.integers(0, CEILING))
def test_no_reply_breaks_us_and_none_that_was_written_is_free(
    usage: Any, model: Any, ceiling: int
) -> None:
    reply = exact_json(
        json.dumps(
            {
                "choices": [{"message": {"content": "text"}, "finish_reason": "stop"}],
                "usage": usage,
                "model": model,
                "system_fingerprint": usage,
            }
        )
    )
    completion = completion_of(reply, "")
    kept = entered(completion, 100, PRICE, ceiling)
    assert kept.nanodollars > 0 or not ceiling
    assert isinstance(completion.model_said, str) and isinstance(kept.nanodollars, int)


@pytest.mark.parametrize(
    ("billed", "nanodollars", "says"),
    [
        (4500, 4500, ""),  # as the book says
        (4530, 4530, ""),
        (5400, 5400, ""),  # less than a micro-dollar away
        (9000, 9000, "the provider bills 9,000 nano-dollars, and its tokens come to 4,500"),
        (CEILING + 1, CEILING + 1, "more than its ceiling"),
    ],
)
def test_the_providers_own_bill_counts_and_is_held_against_the_book(
    billed: int, nanodollars: int, says: str
) -> None:
    reply = Completion("t", "stop", Usage(10, visible_out=5), billed=billed)
    kept = entered(reply, 100, PRICE, CEILING, dollars=True)
    assert (kept.nanodollars, kept.over) == (nanodollars, billed > CEILING)
    assert says in kept.anomaly and bool(says) == bool(kept.anomaly)
    assert entered(reply, 100, replace(PRICE, provider="openrouter"), CEILING) == kept


@pytest.mark.parametrize("billed", [0, 45, 405_000, CEILING + 1])
def test_a_cost_in_nobody_knows_what_overrules_no_price(billed: int) -> None:
    reply = Completion("t", "stop", Usage(10, visible_out=5), billed=billed)
    kept = entered(reply, 100, PRICE, CEILING)
    assert (kept.nanodollars, kept.over) == (4500, False)
    assert f"the provider bills {billed:,} nano-dollars" in kept.anomaly
    assert "teacher.reported_cost" in kept.anomaly
    assert entered(reply, 100, PRICE, CEILING, dollars=False).anomaly == ""  # ignored, as was said


@pytest.mark.parametrize("tier", ["priority", "Fast", "performance", "turbo"])
def test_a_tier_that_was_not_asked_for_is_counted_at_the_ceiling_and_ends_the_run(
    tier: str,
) -> None:
    kept = entered(
        Completion("t", "stop", Usage(10, visible_out=5), tier=tier), 100, PRICE, CEILING
    )
    assert (kept.nanodollars, kept.over) == (CEILING, True) and f"'{tier}'" in kept.anomaly


@pytest.mark.parametrize("tier", ["default", "auto", "standard", "on_demand", "flex"])
def test_a_usual_tier_costs_the_price(tier: str) -> None:
    kept = entered(
        Completion("t", "stop", Usage(10, visible_out=5), tier=tier), 100, PRICE, CEILING
    )
    assert (kept.nanodollars, kept.over, kept.anomaly) == (4500, False, "")


def test_nothing_is_believed_as_a_bill_from_openrouter_alone() -> None:
    free_today = Completion("t", "stop", Usage(10, visible_out=5), billed=0)
    assert entered(free_today, 100, replace(PRICE, provider="openrouter"), CEILING).nanodollars == 0
    assert (
        entered(Completion("t", "stop", Usage(), billed=0), 100, PRICE, CEILING).nanodollars
        == CEILING
    )


def test_a_bill_without_usage_counts_and_is_noted() -> None:
    kept = entered(Completion("t", "stop", Usage(), billed=777), 100, PRICE, CEILING, dollars=True)
    assert (kept.nanodollars, kept.anomaly) == (777, "it came without its usage")


def test_more_tokens_than_were_allowed_count_at_the_ceiling() -> None:
    kept = entered(Completion("t", "stop", Usage(10, visible_out=101)), 100, PRICE, CEILING)
    assert (
        kept.nanodollars == CEILING
        and "counts 101 tokens where 100 were allowed" in kept.anomaly
        and not kept.over
    )


@pytest.mark.parametrize(
    ("asked", "said", "same"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", True),
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", False),
        ("openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18", True),
        ("gemini-2.0-flash", "models/gemini-2.0-flash-001", True),
        ("mistral-large-latest", "mistral-large-2411", True),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1", True),
        ("Qwen/Qwen3-8B", "qwen/qwen3-8b", True),
        ("llama-3.1-8b", "llama-3.1-70b", False),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4", "gpt-4-turbo", False),
        ("gpt-5", "gpt-5-2", False),
        ("gpt-5-2", "gpt-5-2-2026-10-01", True),
        ("gemini-flash", "gemini-flash-2.5", False),
        ("claude-sonnet-4", "claude-sonnet-4-20250514", True),
    ],
)
def test_a_dated_name_of_what_was_asked_is_the_same_model(
    asked: str, said: str, same: bool
) -> None:
    assert is_named(asked, said) == same


def test_a_model_that_changes_is_noted_each_time_it_is_new_and_said_once() -> None:
    said: list[str] = []
    served = ServedModel("m", said.append)
    noted = [
        served.heard(*heard)
        for heard in [
            ("m-0125", "fp1"),
            ("m-0125", "fp1"),
            ("m-0126", "fp1"),
            ("m-0125", "fp1"),
            ("m-0126", "fp2"),
            ("m-0126", "fp3"),
            ("", ""),
        ]
    ]
    assert [bool(note) for note in noted] == [False, False, True, False, True, True, False]
    assert len(said) == 2
    assert said[0] == "the model that the server says it serves changed from 'm-0125' to 'm-0126'"
    assert "system_fingerprint changed from fp1 to fp2" in said[1]


def test_another_model_than_was_asked_is_said() -> None:
    said: list[str] = []
    assert "'m' was asked for, and the server says it serves 'llama'" in ServedModel(
        "m", said.append
    ).heard("llama", "")
    assert len(said) == 1
