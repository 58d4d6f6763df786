"""A sweep, point by point: what is up to date is passed over, so the same command goes on after a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_json
from alpaca_pipe.data.run_names import PastRun, history
from alpaca_pipe.ledger.budget import more
from alpaca_pipe.ledger.money import enough, shown
from alpaca_pipe.recipe.plan import steps_of
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.report.runs_table import SWEEP_RECORD, RunsTable, runs_table
from alpaca_pipe.sweep.sweep_plan import PointRecipe, plan_sweep, stops

if TYPE_CHECKING:
    from rich.console import Console

FORMS = {"md": "markdown", "csv": "csv", "tex": "latex"}


def run_sweep(
    recipe: Recipe,
    points: Sequence[PointRecipe],
    catalog: Catalog,
    workspace: Workspace,
    console: Console,
    carry_out: Callable[[Recipe], Any],
) -> Any:
    """Runs each point in turn by `carry_out`, and answers the last one's result, with the money of all and the table's lines.
    Writes sweep.json, sweep.md, sweep.csv and sweep.tex into the recipe's folder. A point that fails is said and passed over;
    UserError at the end where one did, and before the first where a cap does not hold them all."""
    _check_caps(recipe, points, catalog, workspace)
    done: list[Any] = []
    failed: dict[str, str] = {}
    found: list[PastRun] = []
    for place, one in enumerate(points):
        label = one.point.label
        if before := _run_of(one, catalog, workspace):
            found.append(before)
            console.print(
                f"point {place + 1} of {len(points)}: {label}: up to date", highlight=False
            )
            continue
        console.print(f"point {place + 1} of {len(points)}: {label}", highlight=False)
        try:
            done.append(carry_out(one.recipe))
        except UserError as error:
            failed[label] = str(error)
            console.print(f"  {label}: {error}", highlight=False, markup=False)
            continue
        if made := _run_of(one, catalog, workspace):
            found.append(made)
        _written(recipe, found, workspace)  # may be looked at meanwhile
    table = _written(recipe, found, workspace)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(points)} points of the sweep failed: "
            + "; ".join(f"{label}: {why}" for label, why in failed.items()),
            "the others are in sweep.md; the same command tries these again",
        )
    lines = (*table.text(), f"table       {workspace.of(recipe.name) / 'sweep.md'} (.csv, .tex)")
    last = done[-1] if done else carry_out(points[-1].recipe)
    return replace(
        last,
        ran=tuple(dict.fromkeys(kind for one in done for kind in one.ran)),
        dollars=sum((one.dollars for one in done), Decimal(0)),
        closing=lines,
    )


def _check_caps(
    recipe: Recipe, points: Sequence[PointRecipe], catalog: Catalog, workspace: Workspace
) -> None:
    short = list(stops(plan_sweep(recipe, points, catalog, workspace)))
    if short:
        first = short[0]
        cures = " and ".join(more(cap.key, enough(cap.suffices)) for cap in short)
        raise UserError(
            f"the sweep's {len(points)} points will take about {shown(round(first.expected.p50))}, and "
            f"{shown(max(0, first.left))} is left of {first.key}",
            f"{cures}, or vary less: nothing was run",
        )


def _run_of(one: PointRecipe, catalog: Catalog, workspace: Workspace) -> PastRun | None:
    """The run that made this point, where all its steps are there as they would be made now."""
    steps = steps_of(one.recipe, catalog, workspace)
    if any(step.done is None for step in steps):
        return None
    made = {step.stage.kind: step.done.folder.name for step in steps if step.done}
    rows = history(workspace.root, one.recipe.name)
    found = [row for row in rows if row.get("steps") == made and row.get("outcome") == "done"]
    return PastRun(one.recipe.name, found[0], len(rows) - rows.index(found[0])) if found else None


def _written(recipe: Recipe, runs: Sequence[PastRun], workspace: Workspace) -> RunsTable:
    """The table of the points that are there; runs of the sweep by name, for `compare`."""
    own = workspace.of(recipe.name)
    write_json(own / SWEEP_RECORD, [run.id for run in runs])
    table = runs_table(runs, workspace.root)
    for ending, form in FORMS.items():
        (own / f"sweep.{ending}").write_text(table.written(form), encoding="utf-8")
    return table
