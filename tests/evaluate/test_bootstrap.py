"""The paired bootstrap against answers known without it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.evaluate import bootstrap
from alpaca_pipe.evaluate.bootstrap import paired


def test_the_estimator_weighs_tokens_not_rows() -> None:
    means, differences = paired(
        {"base": [1.0, 30.0], "tuned": [1.0, 10.0]}, [1, 10], "tuned", seed=0
    )
    assert means["base"].mean == pytest.approx(31 / 11) and means["tuned"].mean == pytest.approx(
        1.0
    )
    assert differences["base"].mean == pytest.approx(-20 / 11)
    # two rows: the draws are (1,1), (1,2), (2,1), (2,2); the outer two each have 1/4 of the mass
    assert means["base"].lo == 1.0 and means["base"].hi == 3.0
    assert differences["base"].lo == -2.0 and differences["base"].hi == 0.0


def test_the_interval_is_the_normal_one_where_that_is_known() -> None:
    """Equal token counts: the ratio is a mean, whose 95 % interval is mean -+ 1.96 sd / sqrt(n)."""
    random = np.random.default_rng(7)
    tokens = [5] * 400
    base = random.normal(10, 2, 400)
    tuned = base - 1 + random.normal(0, 0.5, 400)
    means, differences = paired({"base": list(base), "tuned": list(tuned)}, tokens, "tuned", seed=1)
    half = 1.96 * float(np.std(tuned - base)) / math.sqrt(400) / 5
    centre = float(np.mean(tuned - base)) / 5
    assert differences["base"].lo == pytest.approx(centre - half, abs=half * 0.05)
    assert differences["base"].hi == pytest.approx(centre + half, abs=half * 0.05)
    unpaired = means["base"].hi - means["base"].lo
    assert (
        differences["base"].hi - differences["base"].lo < unpaired / 3
    )  # pairing takes the rows' spread out


def test_it_covers_the_truth() -> None:
    """200 draws of 40 rows from a known population: the 95 % interval holds the true difference about 95 times in 100.

    The bounds are 3 standard errors of a proportion of 0.93 (the method is a little narrow at 40 rows) over 200 draws.
    """
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
    assert 0.875 <= hits / 200 <= 0.985


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
