"""A comparison from end to end: priced, asked, judged, held side by side, kept in runs/RECIPE/contests/, gone on with after a stop."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import write_atomic, write_json
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.ledger.budget import Cap, Caps, OverBudget
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.interrupts import asked_to_stop, plain_disk_errors
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.teacher_comparison.asking import ComparisonSetup, ask, stored
from alpaca_pipe.teacher_comparison.comparison_page import page
from alpaca_pipe.teacher_comparison.contest import PAGE, ComparisonResult, Contest
from alpaca_pipe.teacher_comparison.cost_forecast import price
from alpaca_pipe.teacher_comparison.entrants import Entrant
from alpaca_pipe.teacher_comparison.judging import RowJudgement, filtered, graded
from alpaca_pipe.teacher_comparison.measures import (
    PromptYield,
    entries,
    figures,
)

if TYPE_CHECKING:
    from rich.console import Console

SHOWN, _SEED = 10, 42


def prepare(
    recipe: Recipe,
    workspace: Workspace,
    entrants: tuple[Entrant, ...],
    prompts: int,
    judge: Grading | None,
    cap: int | None,
) -> Contest:
    """Looks up what is stored and prices the rest; nothing is sent or written. Raises UserError for what is wrong already."""
    config = recipe.stages.get("generate")
    if config is None:
        raise UserError(
            f"{recipe.name}: there is no table 'generate:', so nothing says what to ask",
            "add it to the recipe",
        )
    terms = ComparisonSetup(config, recipe.seed, prompts)  # type: ignore[arg-type]
    before: list[Generation | None] = [None] * len(entrants)
    spent = 0
    refuse_missing_ledger(workspace)
    if workspace.ledger.is_file():
        with Journal.open(workspace.ledger, read_only=True) as journal:
            spent = journal.totals(recipe.name, run=terms.id(entrants)).spent
            before = [asyncio.run(stored(terms, entrant, journal)) for entrant in entrants]
    if judge:
        judge = judge.model_copy(
            update={"teacher": judge.asked_of(recipe.tables.get("teacher"))}
        )  # whoever it is: one for all
    outlook = price(terms, entrants, before, judge, spent)
    return Contest(
        recipe,
        workspace,
        entrants,
        terms,
        judge,
        outlook,
        outlook.cap if cap is None else cap,
        cap is not None,
    )


def hold(contest: Contest, console: Console, verbose: bool = False) -> ComparisonResult:
    """Asks, judges and writes result.json, the page and each entrant's rows. Raises UserError; Stopped after Ctrl-C: the same
    call goes on, and nothing is bought twice."""
    recipe, workspace, run = contest.recipe, contest.workspace, contest.id
    own = workspace.of(recipe.name)
    with (
        plain_disk_errors(workspace.root),
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
        asked_to_stop() as stopping,
    ):
        contest.folder.mkdir(parents=True, exist_ok=True)
        if lost := journal.recover(recipe.name):
            console.print(
                f"  {lost} requests were in flight when an earlier run died; they count as lost",
                highlight=False,
            )
        screen = Screen(
            console,
            own / "log.jsonl",
            lambda: shown(journal.totals(recipe.name, run=run).settled),
            run,
            verbose,
        )
        screen.write("began", pid=os.getpid())
        screen.begin("contest")
        outcome = "failed"
        try:
            with screen.listening():
                result = asyncio.run(_hold(contest, journal, screen, stopping.is_set))
            outcome = "done"
        except Stopped:
            outcome = "stopped"
            raise
        finally:
            screen.end()
            screen.write(outcome)
    _keep(result)
    return result


async def _hold(
    contest: Contest, journal: Journal, screen: Screen, stopping: Callable[[], bool]
) -> ComparisonResult:
    recipe, run = contest.recipe, contest.id
    common: dict[str, Any] = {
        "journal": journal,
        "caps": _caps(contest),
        "recipe": recipe.name,
        "run": run,
        "folder": contest.folder,
        "screen": screen,
        "stopping": stopping,
    }
    generations, short = await ask(contest.terms, contest.entrants, **common)
    prompts = min(len(found.seats) for found in generations)
    curate: Any = recipe.stages.get("curate")
    verdicts = [filtered(found.examples[found.extended :], curate) for found in generations]
    if contest.judge:
        try:
            verdicts = await graded(verdicts, contest.judge, recipe.tables.get("teacher"), **common)
        except (
            OverBudget
        ) as reached:  # the grades that came are stored; with some rows ungraded, none are counted
            contest, short = (
                replace(contest, judge=None),
                "; ".join(filter(None, (short, f"nothing is graded: {reached}"))),
            )
    came = [
        entries(found, own, prompts, entrant.teacher.priced(), journal)
        for found, own, entrant in zip(generations, verdicts, contest.entrants, strict=True)
    ]
    rules = [_rules(found, own) for found, own in zip(generations, verdicts, strict=True)]
    found, pairs = figures(
        [(one.name, one.teacher.called) for one in contest.entrants],
        came,
        rules,
        contest.terms.config.likeness,
        contest.terms.config.words,
    )
    return ComparisonResult(
        contest,
        found,
        pairs,
        tuple(_side_by_side(came, generations)),
        journal.totals(recipe.name, run=run),
        short,
    )


def _caps(contest: Contest) -> Caps:
    own = contest.workspace.caps(contest.recipe)
    return replace(own, of_run=Cap("--cap", contest.cap, "api", False, contest.id))


def _rules(generation: Generation, verdicts: Sequence[RowJudgement]) -> dict[str, int]:
    """What became of the pieces that are not among the good rows."""
    counts = Counter(rejected.rule for rejected in generation.rejected)
    counts.update(one.dropped for one in verdicts if one.dropped)
    counts["the judge"] = sum(one.passes is False for one in verdicts)
    return dict((+counts).most_common())


def _side_by_side(
    came: Sequence[Sequence[PromptYield]], generations: Sequence[Generation]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Of prompts drawn at random, those first at which every entrant has a row; of each its first row."""
    places = list(range(len(came[0])))
    random.Random(_SEED).shuffle(places)
    chosen = sorted(places, key=lambda place: -sum(bool(own[place].rows) for own in came))[:SHOWN]
    for place in sorted(chosen):
        seat = generations[0].seats[place]
        yield f"{seat['round']}/{seat['seat']}", tuple(_shown(own[place]) for own in came)


def _shown(entry: PromptYield) -> dict[str, Any] | None:
    if not entry.rows:
        return None
    row = entry.rows[0]
    facts = {
        "id": row.example.id,
        "instruction": row.example.instruction,
        "input": row.example.input,
        "output": row.example.output,
        "dropped": row.dropped,
        "grade": row.grade,
        "passes": row.passes,
        "words": row.words or row.reason,
    }
    return {name: value for name, value in facts.items() if value not in ("", None)}


def _keep(result: ComparisonResult) -> None:
    folder = result.contest.folder
    write_json(folder / "result.json", json.loads(json.dumps(result.to_row(), default=str)))
    write_atomic(folder / PAGE, page(result))
