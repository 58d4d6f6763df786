"""The forecast: what it draws, what it learns, and what it does in a run on the real engine."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.generate.forecast.estimate import expected
from alpaca_pipe.generate.forecast.history import Past
from alpaca_pipe.generate.forecast.posterior import ImaginedTeacher
from alpaca_pipe.generate.forecast.saturation import Saturation
from alpaca_pipe.generate.forecast.simulation import (
    RequestTiming,
    Workload,
    foresee,
    imagine,
)
from alpaca_pipe.generate.prior import ONE_BY_ONE, STEADY, SWINGING, TASK_LIST, LogNormal
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.stage import STAGE
from alpaca_pipe.generate.styles.two_step import SMALL
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs
from tests.generate.test_stage import FILES, generate, recipe

ORDER = Workload(
    2000,
    64,
    4,
    False,
    None,
    30,
    (1500, 0),
    (11, 0),
    (1024, 0),
    (100, 400),
    500_000.0,
    RequestTiming(LogNormal(0.8, 0.5), LogNormal(75, 0.5), 16),
)
TWO = replace(ORDER, tasks=1, follows=1, letters=(300, 700), around=(40, 40), limits=(40, 256))


def seen(
    seats: int, *, near: float = 0.05, fault: float = 0.1, out: int = 300, pool: int = 30
) -> RoundStats:
    """What a teacher of four tasks a seat has shown, every reply alike."""
    pieces = 4 * seats
    good = round(pieces * (1 - fault))
    bad = round(good * near)
    return RoundStats(
        seats,
        pieces=pieces,
        near=bad,
        new=good - bad,
        accepted=good - bad,
        in_first=400 * seats,
        in_first_squares=400**2 * seats,
        out_first=out * seats,
        out_first_squares=round(1.1 * out**2 * seats),
        pool=pool,
        attempts=seats,
    )


def wide(range_: Range) -> float:
    return range_.p90 / range_.p10


def test_the_same_question_gets_the_same_answer() -> None:
    assert foresee(ORDER, imagine(TASK_LIST, ORDER)) == foresee(ORDER, imagine(TASK_LIST, ORDER))


@given(count=st.integers(1, 60_000), more=st.integers(1, 60_000))
@settings(max_examples=15, deadline=None)
def test_more_rows_take_more(count: int, more: int) -> None:
    teachers = imagine(TASK_LIST, ORDER, draws=60)
    less, much = (foresee(replace(ORDER, count=rows), teachers) for rows in (count, count + more))
    assert median(much.requests) >= median(less.requests) > 0
    assert all(found % ORDER.round_size == 0 for found in less.requests)
    assert all(
        value >= 0 and math.isfinite(value)
        for name in ("tokens_in", "tokens_out", "dollars", "minutes", "rows")
        for value in getattr(much, name)
    )


@pytest.mark.parametrize("hazard, bend", [(0.05, 0.3), (0.3, 0.9), (0.01, 2.0)])
def test_the_integral_over_the_growing_pool_is_exact_enough(hazard: float, bend: float) -> None:
    """Against the sum row by row, within 0.5 %."""
    rows = sum(math.exp(hazard * ((30 + n + 0.5) / 1000) ** bend) / 3.5 for n in range(8000))
    assert Saturation(hazard, bend).seats(3.5, 30, 8030) == pytest.approx(rows, rel=0.005)


def test_a_pool_that_is_full_ends_the_run() -> None:
    """The teacher has ideas for about 600 rows: it is asked for 100,000, and the forecast says that it stops."""
    forecast = foresee(replace(ORDER, count=100_000), _teacher(hazard=2.0, bend=1.5))
    assert forecast.stalled == len(forecast.rows)
    assert 500 < median(forecast.rows) < 6000


def test_a_limit_of_requests_is_never_passed() -> None:
    for order, prior in ((ORDER, TASK_LIST), (TWO, ONE_BY_ONE)):
        forecast = foresee(replace(order, max_requests=101), imagine(prior, order))
        assert max(forecast.requests) <= 101 + 1e-9
        assert median(forecast.rows) < 500


def test_two_requests_a_seat() -> None:
    """An answer is asked for each new instruction: between one and two requests for each seat, two for each row."""
    forecast = foresee(
        replace(TWO, count=500), _teacher(hazard=1e-6, bend=1.0, pieces=1.0, order=TWO)
    )
    assert 1000 <= median(forecast.requests) <= 1000 * 1.08 + 64


def _teacher(
    hazard: float, bend: float, pieces: float = 4.0, order: Workload = ORDER
) -> ImaginedTeacher:
    one = imagine(TASK_LIST, order, draws=40)
    return replace(
        one,
        saturation=[Saturation(hazard, bend, known=order.known)] * 40,
        pieces=[pieces] * 40,
        readable=[0.99] * 40,
        finished=[0.99] * 40,
    )


def test_twenty_replies_narrow_and_two_thousand_decide() -> None:
    prior = imagine(TASK_LIST, ORDER)
    widths, errors = [], []
    for seats in (0, 20, 2000):
        parts = (
            [seen(seats // 4, pool=30 + 3 * part * seats // 4) for part in range(4)]
            if seats
            else []
        )
        teachers = prior.learned(parts, 4, STEADY, 0.03, 0.12) if parts else prior
        widths.append(wide(foresee(ORDER, teachers).range("dollars")))
        errors.append(abs(median(teachers.out_first) / 300 - 1))
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]
    assert widths[2] < 1.2
    assert errors[2] < 0.01 < errors[0]


@given(near=st.floats(0.0, 0.4), fault=st.floats(0.0, 0.5), out=st.integers(50, 900))
@settings(max_examples=15, deadline=None)
def test_what_was_seen_often_is_believed(near: float, fault: float, out: int) -> None:
    parts = [seen(500, near=near, fault=fault, out=out, pool=30 + 1000 * part) for part in range(4)]
    teachers = imagine(TASK_LIST, ORDER, 100).learned(parts, 4, STEADY, 0.03, 0.12)
    assert median(teachers.out_first) == pytest.approx(out, rel=0.05)
    assert median(teachers.readable) == pytest.approx(1 - fault, abs=0.02)
    risks = [1 - one.fresh(2200) for one in teachers.saturation]
    assert median(risks) == pytest.approx(near, abs=0.03)


def test_what_was_lost_is_counted_at_its_ceiling() -> None:
    teachers = imagine(TASK_LIST, ORDER).learned(
        [replace(seen(1000), attempts=1100, lost=100)], 4, STEADY, 0.03, 0.12
    )
    assert median(teachers.lost) == pytest.approx(0.09, abs=0.03)
    safe = foresee(ORDER, replace(teachers, lost=[0.0] * len(teachers.lost)))
    lossy = foresee(ORDER, teachers)
    extra = median(lossy.dollars) - median(safe.dollars)
    assert extra == pytest.approx(median(lossy.requests) * 0.09 * ORDER.ceiling, rel=0.4)


def test_a_teacher_that_thinks_pays_for_it_and_may_be_cut() -> None:
    thinks = replace(TASK_LIST, thinks=LogNormal(900, 0.5))
    plain, thinking, roomy = (
        imagine(prior, replace(ORDER, limits=(limit, 0)))
        for prior, limit in ((TASK_LIST, 1024), (thinks, 1024), (thinks, 8192))
    )
    assert median(thinking.out_first) > 1.5 * median(plain.out_first)
    assert median(thinking.readable) < 0.6
    assert median(roomy.readable) > 0.85


def estimated(home: Path, text: str, *overrides: str, runs: str | None = None) -> Estimate:
    wanted = recipe(home, text, *overrides)
    return STAGE.estimate(
        wanted.stages["generate"],
        wanted.everything(),
        EstimateInputs({}, home / runs if runs else None, wanted.name),
    )


TEXT = "generate: {count: 60, round_size: 8}"


@pytest.mark.parametrize("size", [16, 1200])
def test_what_a_dollar_buys_agrees_with_the_dollars_and_the_rows(size: int) -> None:
    """Where a round is asked whole and brings many rows beyond those that are wanted, that is said."""
    order = replace(ORDER, count=20_000, round_size=size, tasks=12)
    forecast, said, _, _ = expected(order, TASK_LIST, Past())
    bought = int(said.rpartition("a dollar buys about ")[2].split()[0].replace(",", ""))
    rows, dollars = forecast.range("rows").p50, forecast.range("dollars").p50 / 1e9
    assert bought == pytest.approx(rows / dollars, rel=0.05)
    more = "come in the middle, for a round of 1,200 prompts is asked whole" in said
    assert more == (rows > 1.05 * order.count) == (size == 1200)
    assert said.endswith("of these" if more else "rows")


def test_an_earlier_run_replaces_the_priors(tmp_path: Path) -> None:
    """Another seed and another length of the same prompts; a run of other prompts says nothing."""
    blind = estimated(tmp_path, TEXT, "seed=5", runs="runs")
    done = generate(tmp_path, TEXT)
    taught = estimated(tmp_path, TEXT, "seed=5", "generate.count=200", runs="runs")
    assert "without data" in blind.rests_on
    assert f"{done.summary['requests']} requests of the run of 20" in taught.rests_on
    assert wide(taught.tokens_out) < wide(
        estimated(tmp_path, TEXT, "generate.count=200").tokens_out
    )
    assert (
        "without data"
        in estimated(tmp_path, TEXT, "generate.temperature=0.3", runs="runs").rests_on
    )
    truth = generate(tmp_path, TEXT, "seed=5", "generate.count=200").summary
    for name in ("requests", "tokens_in", "tokens_out"):
        figure = getattr(taught, name)
        assert figure.p10 / 1.15 < truth[name] < figure.p90 * 1.15, name


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_what_is_stored_costs_nothing(tmp_path: Path, style: str) -> None:
    text = f"generate: {{style: {style}, count: 60, round_size: 8}}"
    done = generate(tmp_path, text)
    more = estimated(tmp_path, text, "generate.count=90", runs="runs")
    whole = estimated(tmp_path, text, "generate.count=90")
    assert f"{done.summary['requests']} of about " in more.says and "already and free" in more.says
    assert more.requests.p50 < 0.6 * whole.requests.p50
    assert estimated(tmp_path, text, "generate.count=50", runs="runs").requests == Range(0, 0, 0)
    other = estimated(tmp_path, text, "generate.count=90", "generate.likeness=0.6", runs="runs")
    assert "already and free" in other.says
    (tmp_path / "runs" / "ledger.sqlite").unlink()
    assert (
        "already and free" not in estimated(tmp_path, text, "generate.count=90", runs="runs").says
    )


def test_an_interrupted_run_is_known(tmp_path: Path) -> None:
    text = "generate: {count: 300, round_size: 4}\nbudget: {api: 0.008, go_on: true}"
    with pytest.raises(UserError, match=r"budget of \$0.0080"):
        generate(tmp_path, text)
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        bought = journal.totals(recipe="r").requests
    plan = estimated(tmp_path, text, runs="runs")
    stored = int(plan.says.split(" of about ")[0].split()[-1])
    assert bought - 4 < stored <= bought
    assert "requests of the run of" in plan.rests_on


def test_a_run_past_its_means_stops_at_the_pilot_and_goes_on_when_told(tmp_path: Path) -> None:
    text = "generate: {count: 300, round_size: 8}\nbudget: {api: 0.01}"
    with pytest.raises(UserError, match=r"budget.api leaves \$0.00.*raise budget.api to"):
        generate(tmp_path, text)
    printed = (tmp_path / "printed").read_text()
    assert "forecast after 24 prompts: about " in printed
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals(recipe="r").requests == 24
    with pytest.raises(UserError, match="leaves"):
        generate(tmp_path, text)
    with Journal.open(tmp_path / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals(recipe="r").requests == 24
    with pytest.raises(UserError, match=r"the budget of \$0.0100 \(budget.api\) is reached"):
        generate(tmp_path, text, "budget.go_on=true")
    assert "budget.go_on is set" in (tmp_path / "printed").read_text()
    done = generate(tmp_path, text, "budget.api=1")
    assert done.summary["accepted"] >= 300
    assert done.summary["from_store"] > 24


def test_the_pilot_changes_nothing_that_is_made(tmp_path: Path) -> None:
    early, late = (
        generate(
            tmp_path, f"generate: {{count: 60, round_size: 8, pilot: {pilot}}}", runs=f"runs{pilot}"
        )
        for pilot in (1, 500)
    )
    assert early.folder.name == late.folder.name
    for name in (*FILES, "rounds.jsonl"):
        assert (early.folder / name).read_bytes() == (late.folder / name).read_bytes()


def test_the_rounds_add_up_to_the_summary(tmp_path: Path) -> None:
    for style in ("alpaca", "two-step"):
        done = generate(
            tmp_path, f"generate: {{style: {style}, count: 40, round_size: 8}}", runs=style
        )
        whole = sum(
            (RoundStats.from_row(row) for row in read_jsonl(done.folder / "rounds.jsonl")),
            RoundStats(),
        )
        told = done.summary
        assert (whole.requests, whole.pieces, whole.accepted) == (
            told["requests"],
            told["pieces"],
            told["accepted"],
        )
        assert whole.near == told["rejected"].get("likeness", 0)
        assert whole.in_first + whole.in_answers == told["tokens_in"]
        assert whole.out_first + whole.out_answers == told["tokens_out"]
        assert told["timed"]["requests"] == told["requests"]


def test_the_embedded_model_as_it_was_measured() -> None:
    """The quickstart of the README: 211 requests for 80 rows, 2.1 minutes; the prior must hold it and not be vain."""
    order = Workload(
        80,
        16,
        1,
        True,
        None,
        30,
        (520, 760),
        (43, 43),
        (40, 80),
        (0, 0),
        0,
        RequestTiming(LogNormal(0.05, 0.5), LogNormal(38, 0.35), 4, shared=True, start=4.0),
        SWINGING,
    )
    forecast = foresee(order, imagine(SMALL, order))
    requests, minutes = forecast.range("requests"), forecast.range("minutes")
    assert requests.p10 <= 211 <= requests.p90 * 1.05
    assert minutes.p10 <= 2.1 <= minutes.p90
    assert wide(requests) < 1.5 and wide(minutes) < 4
