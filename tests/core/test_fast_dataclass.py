"""The quick dataclass against the standard library's, as an oracle."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
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
        own: bool = False
        fields: str = ""

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
    assert Named(1, own=True, fields="f").own is True and Named(1).own is False
    assert dataclasses.replace(point, x=4) == Named(4, 5, name="there")
    assert copy.deepcopy(point) == point and pickle.loads(pickle.dumps(Row("a"))) == Row("a")
    with pytest.raises(TypeError):
        Named()


def test_a_compact_one_is_the_same() -> None:
    for ours, theirs in zip(made(fast_dataclass.compact_dataclass), STANDARD, strict=True):
        assert repr(ours(1, -2)) == repr(theirs(1, -2)) and hash(ours(1)) == hash(theirs(1))
        assert ours(1, 2) == ours(1, 2) != ours(1, 3) and ours(3, -4).far == 7
        assert [f.name for f in dataclasses.fields(ours)] == [
            f.name for f in dataclasses.fields(theirs)
        ]
        assert vars(ours(1)).keys() == vars(theirs(1)).keys()


def test_its_fields_are_known_before_any_instance_and_by_several_threads_at_once() -> None:
    for _ in range(20):
        (first, second), (standard, _named) = (
            made(fast_dataclass.dataclass),
            made(dataclasses.dataclass),
        )
        with ThreadPoolExecutor(8) as pool:
            assert {one.y for one in pool.map(second, range(32))} == {2}
        assert second.__match_args__ == ("x", "y", "seen", "name", "own", "fields")
        assert [*inspect.signature(standard).parameters] == [*inspect.signature(first).parameters]


def test_what_was_never_made_here_is_compared_and_shown() -> None:
    """As in a worker, which gets instances from another process."""
    for decorator in (fast_dataclass.dataclass, fast_dataclass.compact_dataclass):
        point, _ = made(decorator)
        one, two = object.__new__(point), object.__new__(point)
        vars(one).update(x=1, y=2, seen=[])
        vars(two).update(x=1, y=2, seen=[3])
        assert one == two and hash(one) == hash(two) and "Point(x=1, y=2)" in repr(one)
        match one:
            case point(x, y):  # type: ignore[misc]
                assert (x, y) == (1, 2)


def test_a_field_by_name_only_and_one_that_nobody_hands_in() -> None:
    @fast_dataclass.dataclass(frozen=True)
    class Both:
        a: int
        b: int = field(default=3, kw_only=True)
        c: list[int] = field(default_factory=list, init=False)

    assert Both(1, b=2) == Both(a=1, b=2) and Both(1).b == 3 and Both(1).c == []
    with pytest.raises(TypeError):
        Both(1, 2)  # type: ignore[misc]
