"""What the steps that must run are expected to take, the rent of the machine included; and how that is kept beside what
they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import Machine, machine_of
from alpaca_pipe.recipe.plan import Step
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs
from alpaca_pipe.recipe.workspace import Workspace


def expected(steps: Iterable[Step], recipe: Recipe, workspace: Workspace) -> dict[str, Estimate]:
    """By stage, of the steps that are not done. Raises UserError for what is wrong with a recipe already."""
    steps = [step for step in steps if not step.done]
    billed, tables = rented(steps, recipe), recipe.everything()
    return {
        step.stage.kind: with_rent(
            step.stage.estimate(
                step.config, tables, EstimateInputs(step.inputs or {}, workspace.root, recipe.name)
            ),
            billed.get(step.stage.kind),
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


def rented(steps: Sequence[Step], recipe: Recipe) -> dict[str, Machine]:
    """By stage, the machine that is billed while it runs."""
    table = recipe.tables.get("gpu") or GpuTable()
    paid = billed(steps, table)
    return dict.fromkeys([step.stage.kind for step in paid], machine_of(recipe.tables))


def billed(steps: Sequence[Step], table: GpuTable) -> Sequence[Step]:
    """Those whose time is paid for: all steps of a run of which one works on the GPU, or from that one on where the lease waits
    for it (gpu.lease_start: gpu); or all where the machine is rented whatever they do."""
    first = next((place for place, step in enumerate(steps) if step.on_gpu), None)
    if first is None:
        return steps if table.rented_anyway(detect.gpus()) else ()
    return steps[first if table.waits() else 0 :]


def row_of(estimate: Estimate) -> Mapping[str, Any]:
    """As done.json keeps it: ranges as [P10, P50, P90], money in nano-dollars."""
    found = {field.name: getattr(estimate, field.name) for field in fields(estimate)}
    return {
        name: [round(value.p10, 4), round(value.p50, 4), round(value.p90, 4)]
        if isinstance(value, Range)
        else value
        for name, value in found.items()
        if value != ()  # no notes
    }
