from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.models.loss_mask import Encoded, joined
from alpaca_pipe.train.shuffled_control import derangement, shuffled


@given(st.integers(2, 200), st.integers(0, 2**32))
def test_nothing_stays_in_place_and_nothing_is_lost(count: int, seed: int) -> None:
    order = derangement(count, seed)
    assert sorted(order) == list(range(count))
    assert all(place != other for place, other in enumerate(order))
    assert order == derangement(count, seed)


def test_another_seed_is_another_order() -> None:
    assert derangement(20, 1) != derangement(20, 2)


def test_prompts_stay_and_answers_move() -> None:
    rows = [joined([1, n], [10 + n] * n + [2]) for n in range(1, 6)]
    other = shuffled(rows, 3)
    assert [row.ids[:2] for row in other] == [row.ids[:2] for row in rows]
    assert all(a.ids[2:] != b.ids[2:] for a, b in zip(rows, other, strict=True))
    assert sorted(row.ids[2:] for row in other) == sorted(row.ids[2:] for row in rows)
    assert all(row.mask == (False, False) + (True,) * (len(row.ids) - 2) for row in other)
    assert isinstance(other[0], Encoded)


def test_answers_of_conversations_move_too() -> None:
    """Two exchanges a row: what is not learned stays where it was."""
    rows = [
        Encoded(
            (1, n, 10 + n, 2, 3, 20 + n, 20 + n, 2, 4),
            (*(False, False), *(True, True), False, *(True,) * 3, False),
        )
        for n in range(1, 6)
    ]
    other = shuffled(rows, 3)
    answers = [row.ids[a:b] for row in rows for a, b in row.spans()]
    moved = [row.ids[a:b] for row in other for a, b in row.spans()]
    assert sorted(moved) == sorted(answers) and len(answers) == 10
    assert all(a != b for a, b in zip(answers, moved, strict=True))
    for before, after in zip(rows, other, strict=True):
        kept = [i for i, learned in zip(after.ids, after.mask, strict=True) if not learned]
        assert kept == [
            i for i, learned in zip(before.ids, before.mask, strict=True) if not learned
        ]
        assert (after.ids[:2], after.ids[-1]) == (before.ids[:2], 4)
