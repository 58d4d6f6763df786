"""Intervals of shares against published values, and against what they promise."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.evaluate.changes import Line, ShareChange, changes, what_got_worse
from alpaca_pipe.evaluate.proportions import paired_shares, wilson, z_of


def test_wilson_is_that_of_the_literature() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    for yes, rows, lo, hi in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(yes, rows)
        assert (found.lo, found.hi) == (pytest.approx(lo, abs=5e-5), pytest.approx(hi, abs=5e-5))


def table(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return one, other


def test_paired_shares_are_those_of_the_literature() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10: 36, 12, 2, 0 of 50 gives 0.0569 to 0.3404."""
    found = paired_shares(*table(36, 12, 2, 0))
    assert found.mean == pytest.approx(0.2)
    assert (found.lo, found.hi) == (
        pytest.approx(0.0569, abs=5e-5),
        pytest.approx(0.3404, abs=5e-5),
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_a_difference_and_its_mirror(rows: list[tuple[bool, bool]]) -> None:
    one, other = [a for a, _ in rows], [b for _, b in rows]
    found, back = paired_shares(one, other), paired_shares(other, one)
    assert -1 <= found.lo <= found.hi <= 1
    if rows:
        assert (found.lo, found.hi) == (pytest.approx(-back.hi), pytest.approx(-back.lo))
        assert found.lo <= found.mean <= found.hi and found.lo < found.hi
    else:
        assert math.isnan(found.mean) and (found.lo, found.hi) == (-1, 1)


def test_the_paired_interval_excludes_nothing_too_often() -> None:
    """Two models that answer alike but for chance: worse is said at most 2.5 % of the time, and 3 standard errors of 1,500."""
    draw, wrong = random.Random(3), 0
    for _ in range(1500):
        share = draw.choice((0.1, 0.5, 0.9))
        rows = [(draw.random() < share, draw.random() < share) for _ in range(25)]
        wrong += paired_shares([a for a, _ in rows], [b for _, b in rows]).hi < 0
    assert wrong / 1500 <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 1500)


def test_words_of_a_change() -> None:
    worse = Line("suite", "much", [True] * 40, [False] * 40)
    maybe = Line("suite", "a little", [True] * 40, [True] * 33 + [False] * 7)
    same = Line("suite", "same", [True, False] * 20, [True, False] * 20)
    noisy = Line("suite", "noisy", [True] * 40, [False] * 20 + [True] * 20, noise=0.6)
    better = Line("suite", "new", [False] * 40, [True] * 40)
    equal = Line("suite", "equal", [True, False] * 20_000, [True, False] * 20_000)
    hardly = Line("suite", "hardly", [True] * 40_000, [True] * 39_800 + [False] * 200)
    many = [same._replace(name=f"same {n}") for n in range(15)]
    found = changes(
        [worse, maybe, same, noisy, better, equal, hardly, Line("suite", "none", [], []), *many]
    )
    words = {one.name: one.word for one in found}
    assert "none" not in words
    assert {name: word for name, word in words.items() if not name.startswith("same ")} == {
        "much": "worse",
        "a little": "maybe worse",
        "same": "no difference shown",
        "noisy": "within the noise",
        "new": "better",
        "equal": "no difference",  # less than two percentage points, and that is sure
        "hardly": "no difference",
    }
    told, sentence = what_got_worse([one.to_row() for one in found])
    assert told[0].startswith("suite, much: 100% -> 0% of 40, -100% [")
    assert "by chance" in told[1] and len(told) == 2
    assert sentence == f"got worse: much; perhaps a little (of {len(found)} things measured)"
    assert what_got_worse([found[2].to_row()])[0] == []


def test_more_lines_take_wider_intervals() -> None:
    assert z_of() == pytest.approx(1.95996, abs=1e-5)
    assert z_of(looks=20) == pytest.approx(3.0233, abs=1e-3)  # two-sided 0.25 %
    one, twenty = changes([LINE])[0], changes([LINE] * 20)[0]
    assert isinstance(one, ShareChange) and one.difference == twenty.difference
    assert twenty.wide.lo < one.wide.lo == one.difference.lo


LINE = Line("s", "n", [True] * 20, [True] * 15 + [False] * 5)
