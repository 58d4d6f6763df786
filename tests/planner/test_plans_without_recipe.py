"""`plan pretrain` and `plan serving`: known answers, an oracle by search, and sentences for what is wrong."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.planner.plan_keys import number, size
from alpaca_pipe.planner.pretraining import doubts, pretraining
from alpaca_pipe.planner.scaling_law import HOFFMANN, REPLICATION, interval
from alpaca_pipe.planner.serving import Traffic, by_api, decoding, desktop, rented
from tests.command import command, told

DAY = date(2026, 11, 30)


def test_chinchilla_itself() -> None:
    """70B parameters and 1.4T tokens: 1.69 + 0.083 + 0.163 by the paper's own constants."""
    assert HOFFMANN.loss(70e9, 1.4e12) == pytest.approx(1.9367, abs=2e-4)


@given(exponent=st.floats(19, 26))
def test_the_best_split_is_the_one_that_a_search_finds(exponent: float) -> None:
    flops = 10**exponent
    for fit in (HOFFMANN, REPLICATION):
        parameters, tokens = fit.best_split(flops)
        assert 6 * parameters * tokens == pytest.approx(flops)
        sizes = [10 ** (6 + step / 200) for step in range(1600)]
        found = min(sizes, key=lambda one: fit.loss(one, flops / 6 / one))
        assert fit.loss(parameters, tokens) <= fit.loss(found, flops / 6 / found) + 1e-12
        assert abs(math.log10(found / parameters)) < 0.01


def test_of_the_replication_about_twenty_tokens_a_parameter() -> None:
    """Its abstract: compatible with Hoffmann's first two approaches, which say 20 at Chinchilla's operations."""
    parameters, tokens = REPLICATION.best_split(5.76e23)
    assert 15 < tokens / parameters < 25


@given(parameters=st.floats(50e6, 15e9), tokens=st.floats(2e9, 5e12), other=st.floats(50e6, 15e9))
def test_intervals_hold_the_prediction_and_tokens_for_is_its_inverse(
    parameters: float, tokens: float, other: float
) -> None:
    low, loss, high = interval(REPLICATION, parameters, tokens)
    assert low < loss < high and loss == REPLICATION.loss(parameters, tokens)
    assert high - loss >= 1.96 * 0.03 - 1e-9  # E alone
    needed = REPLICATION.tokens_for(loss, parameters)
    assert needed == pytest.approx(tokens, rel=1e-4)
    if (reached := REPLICATION.tokens_for(loss, other)) is not None:
        assert REPLICATION.loss(other, reached) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("model", "tokens", "printed"),
    [
        ("llama-7b", 1e12, 82_432),
        ("llama-13b", 1e12, 135_168),
        ("llama-33b", 1.4e12, 530_432),
        ("llama-65b", 1.4e12, 1_022_362),
    ],
)
def test_llamas_own_hours_lie_in_the_band(model: str, tokens: float, printed: int) -> None:
    plan = pretraining(model=model, tokens=tokens, gpu="A100-80", day=DAY)
    assert plan.hours.p10 < printed < plan.hours.p90
    assert printed / 1.25 < plan.hours.p50 < printed * 1.25


def test_going_on_costs_the_rest_alone() -> None:
    whole = pretraining(parameters=13e9, tokens=1.4e12, per_hour=2)
    first = pretraining(parameters=13e9, tokens=1e12, per_hour=2)
    rest = pretraining(parameters=13e9, tokens=1.4e12, seen=1e12, per_hour=2)
    assert first.dollars.p50 + rest.dollars.p50 == pytest.approx(whole.dollars.p50)
    assert rest.affords(rest.dollars.p50) == pytest.approx(0.4e12)
    assert pretraining(parameters=13e9, tokens=1e12, per_hour=2, speed=1000).hours.p90 == (
        1e12 / 1000 / 3600
    )


def test_a_mixture_of_experts_is_paid_by_its_active_parameters_and_held_whole() -> None:
    mixture = pretraining(parameters=46.7e9, active=12.9e9, tokens=1e12, per_hour=2)
    dense = pretraining(parameters=12.9e9, tokens=1e12, per_hour=2)
    assert mixture.flops == dense.flops and mixture.least_gpus > 2 * dense.least_gpus
    assert any("mixture of experts" in one for one in doubts(mixture))
    assert not any("mixture" in one for one in doubts(pretraining(model="llama-7b", day=DAY)))


def test_fewer_gpus_than_hold_it_have_no_price() -> None:
    least = pretraining(parameters=13e9, per_hour=2).least_gpus
    assert least > 1 and pretraining(parameters=13e9, per_hour=2).gpus == least
    assert pretraining(parameters=13e9, per_hour=2, gpus_at_once=64).gpus == 64
    with pytest.raises(UserError, match=f"1 x H100 do not hold it.*208 GB.*gpus={least}"):
        pretraining(parameters=13e9, per_hour=2, gpus_at_once=1)


def test_each_turn_sends_what_was_said_before() -> None:
    traffic = Traffic(10, 3, 50, 200)
    sent = sum(50 + turn * 250 for turn in range(3))
    assert traffic.tokens_in == 10 * sent and traffic.tokens_out == 10 * 3 * 200
    dollars, _ = by_api(traffic, "gpt-6-luna", DAY)
    assert dollars == pytest.approx((traffic.tokens_in * 0.1 + traffic.tokens_out * 0.5) / 1e6)


def test_a_desktop_and_a_rented_gpu() -> None:
    traffic = Traffic()
    own = desktop(7e9, 4.5, "RTX4090", traffic, bought=1460, years=4, per_kwh=0, idle_watts=0)
    assert own.a_day == pytest.approx(1.0)
    assert rented(7e9, 4.5, "L4", DAY).enough(traffic)
    assert not rented(7e9, 4.5, "L4", DAY).enough(Traffic(1e7))
    with pytest.raises(UserError, match="do not fit into one L4"):
        decoding(70e9, 4.5, "L4")
    with pytest.raises(UserError, match="not known here"):
        decoding(7e9, 4.5, "T4")


@given(value=st.floats(1, 9e14))
def test_numbers_are_read_as_they_are_said(value: float) -> None:
    assert number(size(value), "x") == pytest.approx(value, rel=0.006)


def test_the_commands(tmp_path: Path) -> None:
    said = told(
        "plan",
        "pretrain",
        "parameters=13b",
        "tokens=1t",
        "gpu=A100-80",
        "budget=100k",
        cwd=tmp_path,
    )
    assert "13B parameters, 1T tokens (77 a parameter" in said and "7.8e+22" in said
    assert "400 W a GPU, times 1.56" in said and "e+03 days" not in said
    assert "$100,000 buys" in said and "95 %" in said
    row = json.loads(
        told("plan", "pretrain", "model=llama-7b", "tokens=1t", "--json", cwd=tmp_path)
    )
    assert row["loss"]["low"] < row["loss"]["predicted"] < row["loss"]["high"]
    assert "a day" in told("plan", "serving", cwd=tmp_path)
    ways = json.loads(told("plan", "serving", "conversations=20k", "--json", cwd=tmp_path))
    assert [way["fast_enough"] for way in ways] == [True, False, True]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["pretrain"], "how large is it"),
        (["pretrain", "paramters=3b"], "did you mean 'parameters'"),
        (["pretrain", "parameters=many"], "is not a number above zero"),
        (["pretrain", "parameters=-1"], "is not a number above zero"),
        (["pretrain", "parameters=1b", "active=2b"], "active is a part of all"),
        (["pretrain", "parameters=1b", "tokens=1b", "seen=2b"], "are not beyond"),
        (["pretrain", "model=nothing"], "no shape is known"),
        (["pretrain", "parameters=1b", "gpu=Z80"], "no datasheet"),
        (["pretrain", "parameters=1b", "tokens=1b", "parameters=2b"], "'parameters' is said twice"),
        (["pretrain", "parameters=13"], "write the unit too, as in parameters=13b"),
        (["pretrain", "parameters=13b", "tokens=1.4"], "write the unit too, as in tokens=1.4b"),
        (["pretrain", "parameters=13b", "active=3"], "write the unit too, as in active=3b"),
        (["pretrain", "parameters=13b", "seen=2"], "write the unit too, as in seen=2b"),
        (["serving", "model=13"], "write the unit too, as in model=13b"),
        (["serving", "api=nobody"], "nobody"),
    ],
)
def test_what_is_wrong_is_a_sentence(words: list[str], what: str, tmp_path: Path) -> None:
    done = command("plan", *words, cwd=tmp_path)
    assert done.code == 2 and what in done.err and " - " in done.err


def test_a_budget_is_answered_as_json_too(tmp_path: Path) -> None:
    done = command("plan", "pretrain", "parameters=1b", "budget=1000", "--json", cwd=tmp_path)
    assert json.loads(done.out)["budget"]["tokens"] > 0
