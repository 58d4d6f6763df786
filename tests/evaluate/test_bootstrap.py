"""The paired bootstrap against answers known without it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.evaluate import bootstrap
from alpaca_pipe.evaluate.bootstrap import paired
from alpaca_pipe.evaluate.least_difference import LOSS, direction
from alpaca_pipe.evaluate.tail import rows_to_show, tail_room


def test_the_estimator_weighs_tokens_not_rows() -> None:
    means, differences = paired(
        {"base": [1.0, 30.0], "tuned": [1.0, 10.0]}, [1, 10], "tuned", seed=0
    )
    assert means["base"].mean == pytest.approx(31 / 11) and means["tuned"].mean == pytest.approx(
        1.0
    )
    assert differences["base"].mean == pytest.approx(-20 / 11)


def test_the_interval_is_the_normal_one_where_that_is_known() -> None:
    """Equal token counts: the ratio is a mean, whose 95 % interval is mean -+ 1.96 sd / sqrt(n)."""
    random = np.random.default_rng(7)
    tokens = [5] * 400
    base = random.normal(10, 2, 400)
    tuned = base - 1 + random.normal(0, 0.5, 400)
    means, differences = paired({"base": list(base), "tuned": list(tuned)}, tokens, "tuned", seed=1)
    apart = tuned - base - float(np.mean(tuned - base))
    unseen = 2 * float(np.abs(apart).max()) / (400 * 5)  # one row, twice as far as the farthest
    half = 1.966 * float(np.std(apart, ddof=1)) / math.sqrt(400) / 5 + unseen
    centre = float(np.mean(tuned - base)) / 5
    assert differences["base"].lo == pytest.approx(centre - half, abs=half * 0.06)
    assert differences["base"].hi == pytest.approx(centre + half, abs=half * 0.06)
    unpaired = means["base"].hi - means["base"].lo
    assert (
        differences["base"].hi - differences["base"].lo < unpaired / 3
    )  # pairing takes the rows' spread out


def test_it_covers_the_truth() -> None:
    """200 draws of 40 rows from a known population: the 95 % interval holds the true difference at least 95 times in 100. It is
    wider than it need be on such a population, for it is meant for others too; the bound is 3 standard errors below 0.95."""
    hits = 0
    for trial in range(200):
        random = np.random.default_rng(trial)
        tokens = random.integers(5, 60, 40)
        base = tokens * random.normal(2.0, 0.4, 40)
        tuned = base - tokens * random.normal(0.1, 0.3, 40)
        _, differences = paired(
            {"base": list(base), "tuned": list(tuned)}, list(tokens), "tuned", trial, resamples=800
        )
        hits += differences["base"].lo <= -0.1 <= differences["base"].hi
    assert hits / 200 >= 0.904


def test_the_same_seed_the_same_interval_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    nats = {"base": list(random.uniform(1, 9, 12)), "tuned": list(random.uniform(1, 9, 12))}
    whole = paired(nats, range(1, 13), "tuned", seed=3)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 700)
    assert paired(nats, range(1, 13), "tuned", seed=3) == whole
    assert paired(nats, range(1, 13), "tuned", seed=4) != whole


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.integers(1, 90)), min_size=1, max_size=12),
    st.floats(-2, 2),
)
def test_a_constant_shift_has_no_width(rows: list[tuple[float, int]], shift: float) -> None:
    tokens = [count for _, count in rows]
    base = [nats for nats, _ in rows]
    tuned = [nats + shift * count for nats, count in rows]
    _, differences = paired({"base": base, "tuned": tuned}, tokens, "tuned", seed=0, resamples=50)
    for figure in differences["base"]:
        assert figure == pytest.approx(shift, abs=1e-9)


def test_students_t_is_that_of_the_tables() -> None:
    """Fisher and Yates, two-sided 5 %."""
    table = {6: 2.447, 11: 2.201, 15: 2.131, 30: 2.042, 60: 2.000, 120: 1.980}
    for degrees, value in table.items():
        assert bootstrap.student_t(degrees) == pytest.approx(value, abs=0.001)


NULLS = {  # differences of the rows' losses, nats a token, mean 0: from no tail to a heavy one on the bad side
    "normal": lambda random, n: random.normal(0, 0.3, n),
    "heavy on both sides": lambda random, n: random.standard_t(3, n) * 0.2,
    "a few rows worse": lambda random, n: (
        (np.exp(random.normal(0, 0.5, n)) - math.exp(0.125)) * 0.2
    ),
    "few rows much worse": lambda random, n: (np.exp(random.normal(0, 1, n)) - math.exp(0.5)) * 0.2,
    "heavier": lambda random, n: (np.exp(random.normal(0, 1.5, n)) - math.exp(1.125)) * 0.2,
    "few rows much better": lambda random, n: -NULLS["few rows much worse"](random, n),
    "heavier on the good side": lambda random, n: -NULLS["heavier"](random, n),
}


def said_under(null: str, rows: int, trials: int, seed: int) -> tuple[float, float]:
    """How often "better" and "worse" are said though the true difference is 0."""
    random = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for trial in range(trials):
        tokens = random.integers(8, 200, rows)
        apart = NULLS[null](random, rows) * tokens
        base = random.uniform(1, 3, rows) * tokens
        nats = {"base": list(base), "tuned": list(base + apart)}
        gap = paired(nats, list(tokens), "tuned", trial, resamples=300)[1]["base"]
        found[direction(gap, LOSS.least)] += 1
    return found["better"] / trials, found["worse"] / trials


@pytest.mark.parametrize("rows", [12, 16, 64])
@pytest.mark.parametrize("null", NULLS)
def test_better_and_worse_are_rarely_said_where_nothing_is(null: str, rows: int) -> None:
    """Each at most 2.5 %, and 3 standard errors of 400 trials; a tail that 12 rows do not show too."""
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / 400)
    better, worse = said_under(null, rows, 400, seed=rows)
    assert better <= most and worse <= most


def test_a_tail_gets_room_on_its_own_side_alone() -> None:
    random = np.random.default_rng(2)
    tokens = np.full(40, 10.0)
    worse = np.exp(random.normal(0, 1, 40)) * 10 - 12
    below, above = tail_room(worse, tokens)
    assert below == 0 and above > 0 and tail_room(-worse, tokens) == (above, below)
    assert tail_room(random.normal(0, 1, 40), tokens) == (0, 0)  # no tail shows
    assert tail_room(worse - 100, tokens) == (0, 0)  # every row is better: no tail explains that


SPREADS = {"normal": 0.3, "a few rows worse": 0.1208, "few rows much worse": 0.4321}


@pytest.mark.parametrize("pilot", [24, 64])
@pytest.mark.parametrize("null", SPREADS)
def test_the_rows_that_are_said_to_show_a_difference_show_it(null: str, pilot: int) -> None:
    """The smallest difference that counts, here a quarter of the rows' spread: each time a pilot of so many rows says how many
    show it, and so many are drawn anew. "Better" at least 4 times in 5, less 3 standard errors of 80 trials."""
    random, found = np.random.default_rng(pilot), 0
    least = SPREADS[null] / 4

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tokens = random.integers(8, 200, rows)
        base = random.uniform(1, 3, rows) * tokens
        return base, base + (NULLS[null](random, rows) - least) * tokens, tokens

    for trial in range(80):
        base, tuned, tokens = drawn(pilot)
        rows = rows_to_show(tuned - base, tokens.astype(float), least)
        assert rows and rows > 100
        base, tuned, tokens = drawn(rows)
        nats = {"base": list(base), "tuned": list(tuned)}
        gap = paired(nats, list(tokens), "tuned", trial, resamples=100)[1]["base"]
        found += direction(gap, least) == "better"
    assert found / 80 >= 0.8 - 3 * math.sqrt(0.16 / 80)


def test_rows_that_nobody_has_are_said_to_be_none() -> None:
    random = np.random.default_rng(3)
    tokens = np.full(30, 10.0)
    assert rows_to_show(random.normal(0, 9, 30), tokens, 1e-4) is None
    assert rows_to_show(np.full(30, np.nan), tokens, 0.01) is None


def test_what_is_there_is_found() -> None:
    """A gain of one standard deviation of the rows' differences is seen in 32 rows 4 times in 5."""
    random, found = np.random.default_rng(5), 0
    for trial in range(100):
        tokens = random.integers(8, 200, 32)
        base = random.uniform(1, 3, 32) * tokens
        tuned = base + random.normal(-0.3, 0.3, 32) * tokens
        nats = {"base": list(base), "tuned": list(tuned)}
        found += paired(nats, list(tokens), "tuned", trial, resamples=300)[1]["base"].hi < 0
    assert found >= 80


@pytest.mark.parametrize("losses", [[2.1, 3.3], [2.13, 3.37, 4.41]])
def test_a_draw_of_one_row_again_and_again_says_nothing(losses: list[float]) -> None:
    """Its error is 0 but for floating point; divided by that, an end of the interval came out as 1e13."""
    tokens = [7, 11, 13][: len(losses)]
    base = [loss * count for loss, count in zip(losses, tokens, strict=True)]
    tuned = [one - 0.1 * place for place, one in enumerate(base, 1)]
    means, differences = paired({"base": base, "tuned": tuned}, tokens, "tuned", seed=0)
    for found in (*means.values(), *differences.values()):
        assert found.hi - found.lo < 50
