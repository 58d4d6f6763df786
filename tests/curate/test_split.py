"""Which rows are held out: a count, no order, and few that move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.example import example_id
from alpaca_pipe.curate.split import held_out_ids

ids = st.sets(st.integers(0, 10_000).map(lambda n: example_id(str(n))), min_size=1, max_size=80)


def test_known_answer() -> None:
    """sha256("a") = ca97..., ("b") = 3e23..., ("c") = 2e7d..., ("d") = 18ac..."""
    assert held_out_ids("abcd", 2) == {"c", "d"}


@given(ids, st.integers(1, 20), st.randoms())
def test_order_plays_no_part(names: set[str], count: int, random: object) -> None:
    shuffled = sorted(names, key=lambda name: random.random())  # type: ignore[attr-defined]
    assert held_out_ids(shuffled, count) == held_out_ids(names, count)
    assert len(held_out_ids(names, count)) == min(count, len(names))


@given(ids, ids, st.integers(1, 20))
def test_new_rows_move_at_most_as_many(before: set[str], new: set[str], count: int) -> None:
    """A row leaves the held-out part only where a new one takes its place; none of the old ones enters it."""
    first, then = held_out_ids(before, count), held_out_ids(before | new, count)
    entered, left = then - first, first - then
    assert entered <= new - before or len(before) < count
    assert len(left) <= len(new - before)


@given(ids, st.integers(1, 20))
def test_a_larger_part_holds_the_smaller_one(names: set[str], count: int) -> None:
    assert held_out_ids(names, count) <= held_out_ids(names, count + 3)
