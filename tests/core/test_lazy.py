"""What stands for a module or a pattern until it is used travels to other processes, used or not."""

from __future__ import annotations

import copy
import pickle

import pytest

from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.core.lazy_regex import lazy_regex


@pytest.mark.parametrize("used", [False, True])
def test_they_travel(used: bool) -> None:
    module, pattern = lazy_module("json"), lazy_regex("a+", 2)
    if used:
        assert module.dumps([1]) == "[1]" and pattern.fullmatch("aA")
    for again in (pickle.loads(pickle.dumps((module, pattern))), copy.deepcopy((module, pattern))):
        assert again[0].dumps([2]) == "[2]"
        assert again[1].fullmatch("Aa") and not again[1].fullmatch("b")


def test_filters_travel_as_ray_sends_them() -> None:
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    from alpaca_pipe.core.example import Example, Origin
    from alpaca_pipe.curate.filter_config import Filters, first_reason

    row = Example.of("Sort these: 3, 1, 2", "", "1, 3, 2", Origin("imported"))
    filters = Filters().active()
    again = pickle.loads(cloudpickle.dumps(filters))
    assert first_reason(row, again) == first_reason(row, filters)
    assert pickle.loads(cloudpickle.dumps(filters)) is not None  # once more, after their use
