"""`alpaca-pipe plan`: dollars and minutes of each step, the budget, the changes that save most; `-v` says the whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

from alpaca_pipe.core.aligned import Cell, in_columns, text
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.screen import Styled, echo_json, put
from alpaca_pipe.planner.cheapest import cents
from alpaca_pipe.planner.plan_lines import (
    budget_line,
    control_line,
    last_line,
    minutes_of,
    say,
    verdict_of,
)
from alpaca_pipe.planner.plan_summary import PlanLine, PlanSummary, look
from alpaca_pipe.planner.savings import savings
from alpaca_pipe.recipe.dotenv import key_names
from alpaca_pipe.recipe.plan import NEVER_RUN
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace


def print_plan(
    recipe: Recipe,
    catalog: Catalog,
    workspace: Workspace,
    rehearsal: bool = False,
    as_json: bool = False,
    full: bool = False,
) -> None:
    """For people, or for programs. Nothing is run, sent or written. Raises UserError, after all was printed, where the terms of
    what the recipe brings in forbid its use."""
    outlook = look(recipe, catalog, workspace, rehearsal)
    if as_json:
        echo_json(outlook.to_row())
        outlook.terms.check()
        return
    if full:
        from alpaca_pipe.planner.plan_in_full import print_in_full

        print_in_full(outlook)
    else:
        _print_brief(outlook)
    for sentence in recipe.left_out:
        say(f"note: {sentence}")
    for name in dict.fromkeys(key_names({**recipe.tables, **recipe.stages})):
        if not os.environ.get(name):
            say(f"note: the teacher's key {name} is not set; planning does not need it, a run does")
    for sentence in outlook.doubts:
        say(f"warning: {sentence}")
    for sentence in outlook.terms.warnings():
        say(f"terms: {sentence}")
    say(last_line(outlook) + ("" if full else "; -v shows all of it"))
    outlook.terms.check()


def _print_brief(outlook: PlanSummary) -> None:
    _table(outlook)
    for line in outlook.lines:
        if line.estimate and not _is_usual(line):
            say(f"{line.step.stage.kind}: {line.why}")
        for note in line.estimate.notes if line.estimate else ():
            say(f"{line.step.stage.kind}: {note}")
    if outlook.total.minutes.p50 or outlook.total.api.p50:
        for sentence in _sentences(outlook):
            say(sentence)
        _savings(outlook)


def _is_usual(line: PlanLine) -> bool:
    """Whether the reason to run is one that nobody asks for: it is new, or what it reads is not there yet."""
    return line.why == NEVER_RUN or line.step.identity is None


def _table(outlook: PlanSummary) -> None:
    rows: list[list[Cell]] = [["  step", "", "dollars", "P10 to P90", "minutes", "P10 to P90"]]
    for line in outlook.lines:
        one = line.estimate
        figures = _figures(one.api + one.gpu, one.minutes) if one else ["", line.why, "", ""]
        rows.append([f"  {line.step.stage.kind}", verdict_of(line), *figures])
    if sum(line.estimate is not None for line in outlook.lines) > 1:
        total = outlook.total
        rows.append(["  together", "", *_figures(total.api + total.gpu, total.minutes)])
    head, *lines = in_columns(rows, right={2, 4})
    put(*(Styled(text(part), "bold") for part in head))
    for parts in lines:
        put(*parts)


def _figures(money: Range, minutes: Range) -> list[Cell]:
    return [
        cents(money.p50),
        _around(money, cents),
        minutes_of(minutes.p50),
        _around(minutes, minutes_of),
    ]


def _around(amount: Range, spelled: object) -> Cell:
    low, high = spelled(amount.p10), spelled(amount.p90)  # type: ignore[operator]
    return Styled(f"{low} - {high}" if low != high else "", "dim")


def _sentences(outlook: PlanSummary) -> Iterator[str]:
    for held in outlook.held:
        yield budget_line(held)
    if control := control_line(outlook):
        yield control
    for price in outlook.prices:
        yield f"price: {price}"
    if outlook.machine.says:
        yield f"machine: {outlook.machine.says}"
    if outlook.elsewhere:
        yield outlook.elsewhere
    if outlook.fit:
        fit = outlook.fit
        yield f"memory: {str(fit).split(' (')[0]}"
        if not fit.fits:
            yield f"  what would fit: {'; '.join(outlook.cures) or 'another GPU (-v), or a smaller base'}"


def _savings(outlook: PlanSummary) -> None:
    found = savings(outlook)
    if not found:
        return
    put("what would save most, each by itself:")
    for line in in_columns(
        [[f"{cents(one.saves):>8}", one.how, Styled(one.note, "dim")] for one in found], most=60
    ):
        put(*line)
