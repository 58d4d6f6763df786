"""The commands about teachers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.cli.common import (
    MONEY,
    TONE,
    Json,
    Overrides,
    RecipeName,
    Rehearsed,
    Runs,
    fallback,
    narrator,
    opened,
    wide,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json

if TYPE_CHECKING:
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.teachers.config import TeacherTable

app = typer.Typer()
teachers_app = typer.Typer(
    cls=fallback("compare"),
    no_args_is_help=True,
    help="Check or compare the teachers of a recipe. `teachers RECIPE A B` is short for `teachers compare RECIPE A B`.",
)
app.add_typer(teachers_app, name="teachers", rich_help_panel=MONEY)


@teachers_app.callback()
def teachers() -> None:
    """Check or compare the teachers of a recipe. `teachers RECIPE A B` is short for `teachers compare RECIPE A B`."""


@teachers_app.command()
def compare(
    recipe: RecipeName,
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ... [KEY=VALUE]...",
            help="Teachers: other models for RECIPE's "
            "table 'teacher:', or files and shipped recipes whose table is taken.",
        ),
    ],
    pilot: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="PROMPTS",
            help="The number of prompts that each is asked, the same for all.",
        ),
    ] = 50,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that grades all rows: a model or a file, as above. Default: the one under curate.grade of RECIPE, if any.",
        ),
    ] = None,
    cap: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="The cap on this comparison; default: the highest expected cost. RECIPE's own budget holds too.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it will cost and send nothing.")
    ] = False,
    as_json: Json = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Compare teachers: the same prompts to each, under one cap; accepted rows, $ per row, tokens, grades, novelty."""
    from alpaca_pipe.teacher_comparison.comparison import hold, prepare
    from alpaca_pipe.teacher_comparison.comparison_text import beforehand, print_result
    from alpaca_pipe.teacher_comparison.entrants import entrants, judge_of

    overrides, names = (
        [word for word in named if "=" in word],
        [word for word in named if "=" not in word],
    )
    if len(names) < 2:
        raise UserError(
            "a comparison takes two teachers at least",
            "for example `alpaca-pipe teachers vet gpt-6-luna gpt-6-sol`",
        )
    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    found = entrants(loaded, recipe, names, overrides, rehearse)
    contest = prepare(
        loaded,
        workspace,
        found,
        pilot,
        judge_of(loaded, recipe, judge, overrides, rehearse),
        _nanodollars(cap),
    )
    if dry_run and as_json:
        echo_json(contest.to_row())
        return
    for line in beforehand(contest):
        narrator(as_json).print(line, highlight=False)
    if dry_run:
        return
    result = hold(contest, narrator(as_json), TONE.get().verbose)
    if as_json:
        echo_json(result.to_row())
    else:
        print_result(result, wide())


def _nanodollars(cap: str | None) -> int | None:
    from decimal import Decimal, InvalidOperation

    from alpaca_pipe.ledger.money import nanodollars

    try:
        amount = None if cap is None else Decimal(cap.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if amount is not None and not (amount.is_finite() and amount >= 0):
        raise UserError(f"--cap: '{cap}' is not an amount of dollars", "write it like 0.50")
    return None if amount is None else nanodollars(amount)


@teachers_app.command()
def check(
    recipe: RecipeName,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check address, model, price and key of RECIPE's teacher, then send one tiny request, which is recorded like any other."""
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.recipe.interrupts import plain_disk_errors
    from alpaca_pipe.recipe.locks import held
    from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
    from alpaca_pipe.teachers.check import check as ping

    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    refuse_missing_ledger(workspace)
    own = workspace.of(loaded.name)
    with (
        plain_disk_errors(workspace.root),
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
    ):
        said: list[str] = []
        reply = ping(
            _teacher(loaded),
            journal=journal,
            caps=workspace.caps(loaded),
            recipe=loaded.name,
            log=own / "check.log",
            tell=said.append if as_json else echo,
        )
    if as_json:
        echo_json(
            {
                "model": _teacher(loaded).called,
                "served_by": reply.model_said,
                "text": reply.text,
                "finish": reply.finish,
                "tokens_in": reply.usage.tokens_in,
                "tokens_out": reply.usage.tokens_out,
                "said": said,
            }
        )


@teachers_app.command()
def cancel(
    recipe: RecipeName,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Cancel the batches of RECIPE that are still running at the provider; finished parts are fetched, paid and kept."""
    from dataclasses import asdict
    from functools import partial

    from alpaca_pipe.core import own_loop
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.recipe.interrupts import plain_disk_errors
    from alpaca_pipe.recipe.locks import held
    from alpaca_pipe.teachers.factory import cancel_batches

    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    own = workspace.of(loaded.name)
    with (
        plain_disk_errors(workspace.root),
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
    ):
        done = own_loop.run(
            cancel_batches(
                _teacher(loaded),
                journal=journal,
                recipe=loaded.name,
                log=own / "check.log",
                say=partial(echo, err=as_json),
            )
        )
    if as_json:
        echo_json(asdict(done))
        return
    echo(
        f"{done.batches} batches ended: {done.answered} requests answered and kept, {done.unanswered} not answered"
        f"{f'; {done.elsewhere} batches lie at another address' if done.elsewhere else ''}"
    )


def _teacher(recipe: Recipe) -> TeacherTable:
    teacher: TeacherTable | None = recipe.tables.get("teacher")
    if teacher is None:
        raise UserError(
            f"{recipe.name}: this recipe has no teacher", "name a recipe with a table 'teacher:'"
        )
    return teacher
