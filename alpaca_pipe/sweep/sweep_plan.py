"""What a sweep will take: every step that several points share is counted once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.aligned import Cell, in_columns
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.screen import echo_json, put
from alpaca_pipe.planner.cheapest import cents
from alpaca_pipe.planner.plan_lines import budget_line, in_range, minutes_of, say
from alpaca_pipe.planner.plan_summary import CapCheck, held_against
from alpaca_pipe.recipe.estimates import expected, row_of
from alpaca_pipe.recipe.plan import Step, identify, steps_of
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate
from alpaca_pipe.recipe.sweep_points import SweepPoint, as_of_the_sweep
from alpaca_pipe.recipe.workspace import Workspace


@dataclass(frozen=True)
class PointRecipe:
    point: SweepPoint
    recipe: Recipe


@dataclass(frozen=True)
class PlannedPoint:
    """new: the steps that no point before it makes, with what they will take; the others are there or shared."""

    point: SweepPoint
    new: Mapping[str, Estimate]

    @property
    def money(self) -> Range:
        return sum((one.api + one.gpu for one in self.new.values()), NOTHING)

    @property
    def minutes(self) -> Range:
        return sum((one.minutes for one in self.new.values()), NOTHING)


@dataclass(frozen=True)
class SweepPlan:
    recipe: str
    points: tuple[PlannedPoint, ...]
    held: tuple[CapCheck, ...]
    notes: tuple[str, ...]

    @property
    def money(self) -> Range:
        return sum((one.money for one in self.points), NOTHING)

    @property
    def minutes(self) -> Range:
        return sum((one.minutes for one in self.points), NOTHING)

    def to_row(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe,
            "points": [
                {
                    "label": one.point.label,
                    "overrides": list(one.point.overrides),
                    "steps": {kind: row_of(estimate) for kind, estimate in one.new.items()},
                }
                for one in self.points
            ],
            "nanodollars": [self.money.p10, self.money.p50, self.money.p90],
            "minutes": [self.minutes.p10, self.minutes.p50, self.minutes.p90],
            "budget": [{"key": one.key, "cap": one.cap, "word": one.word} for one in self.held],
            "notes": list(self.notes),
        }


def point_recipes(
    recipe: Recipe, catalog: Catalog, runs: Path | None, rehearsal: bool
) -> tuple[PointRecipe, ...]:
    """Each point as a recipe of its own, all of one name. UserErrors with all that is wrong with any of them, by the sweep's lines."""
    found, errors = list[PointRecipe](), dict[str, UserError]()
    file = str(recipe.files[0])
    for point in recipe.sweep:
        try:
            one = load_recipe(
                file, catalog, [*recipe.overrides, *point.overrides], runs, point=True
            )
        except UserError as error:
            errors |= {str(each): each for each in as_of_the_sweep(error, point).errors}
            continue
        found.append(PointRecipe(point, one.rehearsed() if rehearsal else one))
    if errors:
        raise UserErrors(errors.values())
    return tuple(found)


def plan_sweep(
    recipe: Recipe, points: Sequence[PointRecipe], catalog: Catalog, workspace: Workspace
) -> SweepPlan:
    """Nothing is run, sent or written. UserError for what is wrong with a point already."""
    seen: dict[str, Estimate] = {}
    planned, notes = [], dict[str, None]()
    for one in points:
        new: dict[str, Estimate] = {}
        keys = _keys(one.recipe, catalog)
        steps = steps_of(one.recipe, catalog, workspace)
        wanted = [step for step in steps if not step.done and keys[step.stage.kind] not in seen]
        for kind, estimate in _expected(wanted, one, workspace).items():
            seen[keys[kind]] = new[kind] = estimate
            notes |= {f"{kind}: {note}": None for note in estimate.notes}
        planned.append(PlannedPoint(one.point, new))
    held = tuple(held_against(recipe, workspace, seen))
    return SweepPlan(recipe.name, tuple(planned), held, tuple(notes))


def _expected(
    steps: Sequence[Step], one: PointRecipe, workspace: Workspace
) -> Mapping[str, Estimate]:
    try:
        return expected(steps, one.recipe, workspace)
    except UserError as error:
        raise as_of_the_sweep(error, one.point) from None


def _keys(recipe: Recipe, catalog: Catalog) -> dict[str, str]:
    """By stage: equal keys are the same step, though what it reads may not be made yet."""
    keys: dict[str, str] = {}
    for kind, config in recipe.stages.items():
        stage = catalog.stage(kind)
        reads = [read.rstrip("?") for read in (*stage.reads, *config.reads())]
        inputs = {read: keys[read.split("/")[0]] for read in reads if read.split("/")[0] in keys}
        keys[kind] = json.dumps(
            identify(stage, config, recipe, inputs), sort_keys=True, default=str
        )
    return keys


def print_sweep_plan(found: SweepPlan, as_json: bool) -> None:
    if as_json:
        echo_json(found.to_row())
        return
    rows: list[list[Cell]] = [["  point", "what it adds", "dollars", "minutes"]]
    for one in found.points:
        adds = ", ".join(one.new) or "up to date, or shared"
        figures = [cents(one.money.p50), minutes_of(one.minutes.p50)] if one.new else ["", ""]
        rows.append([f"  {one.point.label}", adds, *figures])
    rows.append(["  together", "", cents(found.money.p50), minutes_of(found.minutes.p50)])
    for line in in_columns(rows, right={2, 3}, most=60):
        put(*line)
    for sentence in (*found.notes, *map(budget_line, found.held)):
        say(sentence)
    say(
        f"{found.recipe}: {len(found.points)} points, {in_range(found.money)} to go; what they share is made once"
    )


def stops(found: SweepPlan) -> Iterator[CapCheck]:
    """Caps below which the whole sweep is not expected to fit."""
    return (one for one in found.held if one.word == "will stop")
