"""`alpaca-pipe plan`: each step with its verdict, the reason, and what it is expected to take."""

from __future__ import annotations

import os

from alpaca_pipe.ledger.money import shown
from alpaca_pipe.recipe.progress import spell
from alpaca_pipe.recipe.runner import steps_of
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog, Known
from alpaca_pipe.recipe.workspace import Workspace


def print_plan(recipe: Recipe, catalog: Catalog, workspace: Workspace, rehearsal: bool = False) -> None:
    """One block a step, and the sum of what must run. Nothing is run, sent or written."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    minutes, money = 0.0, 0
    for step in steps_of(recipe, catalog, workspace):
        kind, colour = step.stage.kind, "green" if step.done else "yellow"
        console.print(f"  {kind:<9} [{colour}]{step.verdict:<10}[/] ", end="")
        console.print(step.why, markup=False)
        if step.done:
            continue
        estimate = step.stage.estimate(step.config, recipe.everything(), Known(step.inputs or {}, workspace.root, recipe.name))
        minutes, money = minutes + estimate.minutes.p50, money + round(estimate.api.p50)
        facts = [f"about {spell(estimate.minutes.p50)}"]
        if estimate.requests.p50:
            facts.append(f"{estimate.requests.p50:,.0f} requests, {estimate.tokens_in.p50:,.0f} tokens in, "
                         f"{estimate.tokens_out.p50:,.0f} out")
            facts.append(shown(round(estimate.api.p50)))
        console.print(f"{'':<22} [dim]{'; '.join(facts)}[/]")
        if estimate.says:
            console.print(f"{'':<22} [dim]{estimate.says}[/]")
    variable = getattr(recipe.tables.get("teacher"), "key_variable", None)
    if variable and not os.environ.get(variable):
        console.print(f"note: the teacher's key {variable} is not set; planning does without, a run does not")
    console.print(f"{recipe.name}: about {spell(minutes)} and {shown(money)} {'on paper ($0.00 in truth) ' if rehearsal else ''}to go" if minutes or money
                  else f"{recipe.name}: everything is up to date; a run would send nothing and cost $0.00")

