"""[sweep] one recipe as many: the points of a grid, or of a list, each with each seed; a point is a few overrides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.recipe.located_yaml import Key, Place

SWEEP = "sweep"
_MOST = 1000  # points
_NOT_SWEPT = ("name", "extends", "recipe_version", SWEEP)


class SweepTable(Table):
    """The table `sweep:`: what differs from point to point. All that is the same is done once."""

    grid: dict[str, tuple[Any, ...]] = Field(
        {},
        description="key -> its values, every combination of them: train.learning_rate: [1e-4, 2e-4]",
    )
    runs: tuple[dict[str, Any], ...] = Field(
        (),
        description="instead of the grid, or with it, a list of keys with a value each: [{train.method: full}]",
    )
    seeds: tuple[int, ...] = Field(
        (), description="train.seed of each point in turn; the table says the spread over them"
    )

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if not (self.grid or self.runs or self.seeds):
            raise ValueError("it names nothing to vary - give grid:, runs: or seeds:")
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"{name} has no values - write a list: {name}: [1, 2]")
        return self


@dataclass(frozen=True)
class SweepPoint:
    """overrides: `key=value`, as on the command line; places: of each the file and line where it is written."""

    label: str
    overrides: tuple[str, ...]
    places: tuple[str, ...]


def sweep_points(table: SweepTable, places: Mapping[Key, Place]) -> tuple[SweepPoint, ...]:
    """In the order in which they are run: seeds vary fastest. UserError for too many, for one that is there twice, and for a
    key that no point can have of its own."""
    grid = [
        [(name, value, ("grid", name)) for value in values] for name, values in table.grid.items()
    ]
    lists = [
        [(name, value, ("runs", place, name)) for name, value in run.items()]
        for place, run in enumerate(table.runs)
    ]
    seeds = [[("train.seed", seed, ("seeds",))] for seed in table.seeds]
    points: dict[tuple[str, ...], SweepPoint] = {}
    for parts in product(product(*grid), lists or [[]], seeds or [[]]):
        one = _point([item for part in parts for item in part], places)
        if one.overrides in points:
            raise UserError(
                f"{one.places[0]}: sweep: the point {one.label} is there twice",
                "remove one of them",
            )
        points[one.overrides] = one
        if len(points) > _MOST:
            raise UserError(
                f"{places[(SWEEP,)]}: sweep: more than {_MOST} points", "vary fewer keys at a time"
            )
    return tuple(points.values())


def _point(items: Sequence[tuple[str, Any, Key]], places: Mapping[Key, Place]) -> SweepPoint:
    overrides, where = [], []
    names = [name for name, _, _ in items]
    for name, value, key in items:
        place = _place((SWEEP, *key), places)
        if names.count(name) > 1:
            raise UserError(
                f"{place}: sweep: {name} is varied twice, and the later value would hide the other",
                "vary it in one place: grid, runs or seeds",
            )
        if name.split(".")[0] in _NOT_SWEPT:
            raise UserError(f"{place}: sweep: {name} is no key of a point", "vary keys of tables")
        overrides.append(f"{name}={json.dumps(value)}")
        where.append(str(place))
    label = " ".join(_short(items))
    return SweepPoint(label, tuple(overrides), tuple(where))


def _short(items: Sequence[tuple[str, Any, Key]]) -> Iterator[str]:
    """By the last part of each key, where no other key ends so: `seed` is the recipe's, `train.seed` another."""
    ends = ["seed", *(name.rpartition(".")[2] for name, _, _ in items if name != "seed")]
    for name, value, _ in items:
        end = name.rpartition(".")[2]
        shown = name if ends.count(end) > 1 else end
        yield f"{shown}={value if isinstance(value, str) else json.dumps(value)}"


def _place(key: Key, places: Mapping[Key, Place]) -> Place:
    while key not in places:
        key = key[:-1]
    return places[key]


def as_of_the_sweep(error: UserError, point: SweepPoint) -> UserErrors:
    """What is wrong with a point, by the line of the sweep that says so."""
    found = error.errors if isinstance(error, UserErrors) else (error,)
    return UserErrors(_told(one, point) for one in found)


def _told(error: UserError, point: SweepPoint) -> UserError:
    for override, place in zip(point.overrides, point.places, strict=True):
        begins = f"override '{override}'"
        if error.what.startswith(begins):
            return UserError(f"{place}: sweep{error.what.removeprefix(begins)}", error.cure)
    return UserError(f"sweep, point {point.label}: {error.what}", error.cure)
