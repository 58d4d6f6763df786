"""Operations to equal loss, by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.grow.equal_loss import at_equal_loss, curves_of, multiplied, operations_at
from alpaca_pipe.models.architecture import Architecture

SHAPE = Architecture(8, 16, 2, 2, 2, 32, tied=True)
AFTER: dict[str, Any] = asdict(SHAPE) | {"parameters": SHAPE.parameters}
GROWN: dict[str, Any] = {
    "before": AFTER,
    "after": AFTER,
    "base": {"flops": 6 * SHAPE.multiplied * 50.0},
    "methods": {
        "ligo": {"learned": {"flops": 6 * SHAPE.multiplied * 10.0}},
        "stack": {},
        "scratch": {},
    },
}


def row(which: str, tokens: int, loss: float) -> dict[str, Any]:
    return {"which": which, "tokens": tokens, "eval_loss": loss}


def test_what_is_multiplied_is_the_shapes_own() -> None:
    untied = Architecture(8, 16, 2, 2, 2, 32)
    assert multiplied(AFTER) == SHAPE.multiplied
    assert multiplied(asdict(untied) | {"parameters": 0}) == untied.multiplied
    assert multiplied(AFTER) == 2 * (4 * 8 * 8 + 3 * 8 * 16) + 8 * 32


def test_savings_by_hand() -> None:
    rows = [
        *(row("tuned", tokens, loss) for tokens, loss in ((100, 3.0), (200, 1.0))),
        *(row("stack", tokens, loss) for tokens, loss in ((100, 4.0), (200, 3.0))),
        *(row("scratch", tokens, loss) for tokens, loss in ((100, 5.0), (200, 2.0))),
    ]
    found = at_equal_loss(curves_of(rows, GROWN), GROWN)
    assert found
    target, (ligo, stack, drawn) = found
    a_token = 6 * SHAPE.multiplied
    assert target == 2.0 and [one.method for one in found[1]] == ["ligo", "stack", "scratch"]
    assert ligo.flops == pytest.approx(
        a_token * 160
    )  # half-way between 100 and 200, and the map's 10
    assert ligo.saved == pytest.approx(1 - 160 / 200) and ligo.whole == pytest.approx(1 - 210 / 200)
    assert stack.flops is None and stack.saved is None and stack.last == 3.0
    assert drawn.saved == pytest.approx(0) and drawn.whole == pytest.approx(0)


def test_without_a_drawn_model_nothing_is_said() -> None:
    assert at_equal_loss(curves_of([row("tuned", 1, 2.0)], GROWN), GROWN) is None


@given(losses=st.lists(st.floats(0.1, 9), min_size=1, max_size=8), target=st.floats(0.1, 9))
def test_it_lies_between_the_two_evaluations_around_it(losses: list[float], target: float) -> None:
    curve = [(float(10 * (at + 1)), loss) for at, loss in enumerate(losses)]
    found = operations_at(curve, target)
    first = next((at for at, loss in enumerate(losses) if loss <= target), None)
    if first is None:
        assert found is None
    else:
        assert found is not None and 10 * max(first, 1) <= found <= 10 * (first + 1)
