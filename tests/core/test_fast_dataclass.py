"""The quick dataclass against the standard library's, as an oracle."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from functools import cached_property
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core import fast_dataclass


@fast_dataclass.dataclass(frozen=True)
class Row:
    name: str


def made(dataclass: Any) -> tuple[Any, Any]:
    """The same two classes by either decorator."""

    @dataclass(frozen=True)
    class Point:
        x: int
        y: int = 2
        seen: list[int] = field(default_factory=list, compare=False, repr=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "y", abs(self.y))

        @cached_property
        def far(self) -> int:
            return self.x + self.y

    @dataclass(frozen=True)
    class Named(Point):
        name: str = "here"

        def __repr__(self) -> str:
            return f"<{self.name}>"

    return Point, Named


QUICK, STANDARD = made(fast_dataclass.dataclass), made(dataclasses.dataclass)
Point, Named = QUICK


@given(st.integers(), st.integers(), st.integers(), st.integers())
def test_it_compares_hashes_and_shows_as_the_standard_one(a: int, b: int, c: int, d: int) -> None:
    for ours, theirs in zip(QUICK, STANDARD, strict=True):
        assert (ours(a, b) == ours(c, d)) == (theirs(a, b) == theirs(c, d))
        assert hash(ours(a, b)) == hash(theirs(a, b)) and repr(ours(a, b)) == repr(theirs(a, b))
        assert dataclasses.asdict(ours(a, b)) == dataclasses.asdict(theirs(a, b))
    assert Point(a, b) != Named(a, b) and Point(a, b) != (a, b)


def test_it_is_frozen_and_yet_made_anew_copied_and_cached() -> None:
    point = Named(1, -5, name="there")
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.other = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert (point.y, point.far, point.x) == (5, 6, 1)
    assert dataclasses.replace(point, x=4) == Named(4, 5, name="there")
    assert copy.deepcopy(point) == point and pickle.loads(pickle.dumps(Row("a"))) == Row("a")
    with pytest.raises(TypeError):
        Named()
