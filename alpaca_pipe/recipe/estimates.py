"""What the steps that must run are expected to take, the rent of the machine included; and how that is kept beside what
they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.machine.planned_machine import Machine, machine_of
from alpaca_pipe.recipe.plan import Step
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs
from alpaca_pipe.recipe.workspace import Workspace


def expected(steps: Iterable[Step], recipe: Recipe, workspace: Workspace) -> dict[str, Estimate]:
    """By stage, of the steps that are not done. Raises UserError for what is wrong with a recipe already."""
    steps = [step for step in steps if not step.done]
    machine, tables = rented(steps, recipe), recipe.everything()
    return {
        step.stage.kind: with_rent(
            step.stage.estimate(
                step.config, tables, EstimateInputs(step.inputs or {}, workspace.root, recipe.name)
            ),
            machine,
        )
        for step in steps
    }


def with_rent(estimate: Estimate, machine: Machine | None) -> Estimate:
    """With its minutes on the machine, where that is rented and the stage did not say what it costs."""
    return (
        replace(estimate, gpu=machine.money(estimate.minutes))
        if machine and not estimate.gpu.p90
        else estimate
    )


def rented(steps: Iterable[Step], recipe: Recipe) -> Machine | None:
    """The machine that is billed for all of the run: where one of its steps works on the GPU, or it is rented already."""
    table = recipe.tables.get("gpu")
    begun = table is not None and table.lease_start != "run"
    return machine_of(recipe.tables) if begun or any(step.stage.on_gpu for step in steps) else None


def row_of(estimate: Estimate) -> Mapping[str, Any]:
    """As done.json keeps it: ranges as [P10, P50, P90], money in nano-dollars."""
    found = {field.name: getattr(estimate, field.name) for field in fields(estimate)}
    return {
        name: [round(value.p10, 4), round(value.p50, 4), round(value.p90, 4)]
        if isinstance(value, Range)
        else value
        for name, value in found.items()
    }
