"""The commands of money: what was spent, what things cost, and whether published claims add up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import (
    MONEY,
    Json,
    Overrides,
    RecipeName,
    Rehearsed,
    Runs,
    fallback,
    opened,
    recipe_called,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.core.today import today as this_day

app = typer.Typer()
ledger = typer.Typer(
    cls=fallback("show"),
    no_args_is_help=False,
    help="Show what was spent: settled, lost (sent, outcome unknown), machine time. `ledger RECIPE` is short for `ledger show RECIPE`.",
)
app.add_typer(ledger, name="ledger", rich_help_panel=MONEY)


class By(StrEnum):
    stage = "stage"
    model = "model"
    day = "day"
    month = "month"
    class_ = "class"
    recipe = "recipe"
    run = "run"
    machine = "machine"


class Mode(StrEnum):
    online = "online"
    batch = "batch"


@ledger.command()
def show(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="Only this recipe.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All recipes of the workspace; the same as no RECIPE.")
    ] = False,
    by: Annotated[
        By | None,
        typer.Option(help="One line for each of these; default: recipe, stage and class."),
    ] = None,
    focus: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Also write the charges in the format FOCUS 1.2."),
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every entry too.")
    ] = None,
    as_json: Json = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Show what was spent, exactly; the lines add up to the balance of the ledger."""
    from alpaca_pipe.ledger.statements.exports import export_focus, export_jsonl
    from alpaca_pipe.ledger.statements.statement import print_statement

    if recipe and every:
        raise UserError("both a recipe and --all are named", "leave one of them out")
    path, name = _ledger_of(runs, rehearse), recipe_called(recipe) if recipe else None
    print_statement(path, name, by.value if by else None, as_json)
    for file, write in ((focus, export_focus), (jsonl, export_jsonl)):
        if file is not None:
            echo(f"{write(path, file, name):,} rows written to {file}", err=as_json)


@ledger.command()
def reconcile(
    file: Annotated[
        Path,
        typer.Argument(
            help="The provider's records: OpenAI's organization costs as JSON, or a FOCUS CSV file."
        ),
    ],
    tolerance: Annotated[
        str | None, typer.Option(help="How much each line may differ: 0.05 (dollars) or 1%.")
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write what the file says about single attempts into the ledger."
        ),
    ] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="The file has all charges of its days: what it does not name was free.",
        ),
    ] = False,
    as_json: Json = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Compare the ledger with the provider's own records: by attempt where they name it, otherwise by day and line item."""
    from alpaca_pipe.ledger.reconcile.reconcile import print_reconciliation

    print_reconciliation(_ledger_of(runs, rehearse), file, tolerance, write, complete, as_json)


@ledger.command()
def pin_price(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A model, by the name that its endpoint uses."),
    ] = None,
    in_: Annotated[str | None, typer.Option("--in", help="$ per million tokens in.")] = None,
    out: Annotated[str | None, typer.Option(help="$ per million tokens out.")] = None,
    cache_read: Annotated[str | None, typer.Option(help="Default: the same as --in.")] = None,
    cache_write: Annotated[str | None, typer.Option(help="Default: the same as --in.")] = None,
    reasoning: Annotated[str | None, typer.Option(help="Default: the same as --out.")] = None,
    gpu: Annotated[str | None, typer.Option(help="A GPU such as H100, instead of a model.")] = None,
    per_hour: Annotated[str | None, typer.Option(help="$ per GPU-hour.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="For a GPU: who rents it out; default own.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The host of an endpoint, such as api.openai.com.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="Default: online.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DAY", help="The first day, such as 2026-11-21; default today."
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="The source of the price.")] = "",
    as_json: Json = False,
) -> None:
    """Record what a model or a GPU costs you, with the date. Your own price comes before the price list."""
    from alpaca_pipe.ledger.pricing import pin_price

    first, today = _day(start), this_day()
    if (model is None) == (gpu is None):
        raise UserError(
            "a price belongs to a MODEL or to a --gpu, one of them",
            "for example gpt-6-luna --in 0.10 --out 0.50",
        )
    pin_price.refuse_strangers(
        gpu is not None,
        {
            "in": in_,
            "out": out,
            "cache-read": cache_read,
            "cache-write": cache_write,
            "reasoning": reasoning,
            "host": host,
            "mode": mode,
        },
        {"per-hour": per_hour, "provider": provider},
    )
    if gpu is not None:
        if per_hour is None:
            raise UserError(
                "a GPU's price needs --per-hour", "for example --gpu H100 --per-hour 2.49"
            )
        lines = pin_price.pin_gpu(
            gpu, per_hour, provider or "own", today, start=first, source=source
        )
    elif in_ is None or out is None or model is None:
        raise UserError("a model's price needs --in and --out", "for example --in 0.15 --out 0.60")
    else:
        figures = pin_price.TypedPrices(in_, out, cache_read, cache_write, reasoning)
        lines = pin_price.pin_price(
            model,
            figures,
            today,
            host=host or "",
            mode=(mode or Mode.online).value,
            start=first,
            source=source,
        )
    if as_json:
        echo_json({"said": lines})
    else:
        echo("\n".join(lines))


@ledger.command()
def enter(
    recipe: RecipeName,
    overrides: Overrides = None,
    minutes: Annotated[str | None, typer.Option(help="Minutes of a person's work.")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="GB-DAYS", help="Storage: 1e9 bytes kept for one day.")
    ] = None,
    egress: Annotated[
        str | None, typer.Option(metavar="GB", help="Traffic: 1e9 bytes sent out.")
    ] = None,
    note: Annotated[str, typer.Option(help="What the cost was for.")] = "",
    as_json: Json = False,
    runs: Runs = Path("runs"),
) -> None:
    """Record costs that no meter sees, at the rates of RECIPE's table `gpu:` (human_per_hour ...), so that the total is complete."""
    from alpaca_pipe.ledger.machine.config import GpuTable
    from alpaca_pipe.ledger.manual_entries import enter_by_hand, free_of_charge
    from alpaca_pipe.ledger.money import shown
    from alpaca_pipe.ledger.store.journal import Journal

    given = {"human": minutes, "storage": storage, "egress": egress}
    if not any(given.values()):
        raise UserError("nothing is to be entered", "use --minutes 30, --storage 12 or --egress 40")
    loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
    with Journal.open(workspace.ledger) as journal:
        amounts = {what: _amount(amount) for what, amount in given.items() if amount is not None}
        entered = {
            what: enter_by_hand(
                journal,
                loaded.name,
                what,
                amount,
                loaded.tables.get("gpu") or GpuTable(),
                note=note,
            )
            for what, amount in amounts.items()
        }
    if as_json:
        echo_json(
            [
                {"what": what, "amount": given[what], "nanodollars": cost}
                for what, cost in entered.items()
            ]
        )
        return
    for what, cost in entered.items():
        echo(
            f"{what}: {given[what]} entered, {shown(cost)}{'' if cost else f' ({free_of_charge(what)})'}"
        )


@ledger.command()
def correct(
    attempt: Annotated[
        str,
        typer.Argument(
            help="The name of the attempt, or of its request if only one attempt was billed."
        ),
    ],
    cost: Annotated[str, typer.Option(help="Needed: what it really cost, in dollars.")] = "",
    reason: Annotated[str, typer.Option(help="Needed: why the entry is wrong.")] = "",
    evidence: Annotated[
        str,
        typer.Option(help="Needed: a file (its digest is kept), or an invoice's number."),
    ] = "",
    as_json: Json = False,
    runs: Runs = Path("runs"),
) -> None:
    """Record what one attempt really cost, as a new row; nothing in the ledger is changed."""
    from alpaca_pipe.core.outside_numbers import BadNumber, nanodollars_of
    from alpaca_pipe.ledger.corrections import correct as enter_correction
    from alpaca_pipe.ledger.money import exactly
    from alpaca_pipe.ledger.store.journal import Journal

    given = {"--cost": cost, "--reason": reason, "--evidence": evidence}
    if missing := [option for option, text in given.items() if not text.strip()]:
        raise UserError(
            f"a correction says what it cost, why, and what shows it; missing: {', '.join(missing)}",
            "for example --cost 0.42 --reason 'the provider billed it' --evidence invoice.pdf",
        )
    path = _ledger_of(runs, rehearse=False)
    if not path.exists():
        raise UserError(f"there is no ledger at {path}", "name its workspace with --runs")
    try:
        amount = nanodollars_of(cost)
    except BadNumber as bad:
        raise UserError(
            f"--cost: '{bad}' is not an amount", "write dollars like --cost 0.0123"
        ) from None
    with Journal.open(path) as journal:
        done = enter_correction(journal, attempt, amount, reason, evidence)
    if as_json:
        echo_json({"attempt": done.name, "before": done.before, "nanodollars": done.now})
    else:
        echo(f"{done.name}: ${exactly(done.before)} before, ${exactly(done.now)} from now on")


@app.command(rich_help_panel=MONEY)
def prices(
    find: Annotated[
        str,
        typer.Argument(
            metavar="[TEXT]",
            help="Only names that contain this text; or the word update: hold the prices against a kept table.",
        ),
    ] = "",
    table: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="For update: a table in llm-prices' form; default the package genai-prices.",
        ),
    ] = None,
    teachers: Annotated[bool, typer.Option("--teachers", help="Only teachers.")] = False,
    gpus: Annotated[bool, typer.Option("--gpus", help="Only GPUs by the hour.")] = False,
    hosted: Annotated[
        bool, typer.Option("--hosted", help="Only fine-tuning as a service.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="All rows, past prices too.")] = False,
    add: Annotated[
        str, typer.Option("--add", metavar="TEXT", help="For update: new models called so, too.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="For update: append the rows to your own price file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what teachers, GPUs and hosted fine-tuning cost, with the source and the age of each price; `prices update` shows what a
    kept table says otherwise."""
    if find == "update":
        from alpaca_pipe.core.today import today
        from alpaca_pipe.ledger.pricing.price_sources import kept_package, llm_prices_file
        from alpaca_pipe.ledger.pricing.price_update import update_prices

        if teachers or gpus or hosted or every:
            raise UserError(
                "--teachers, --gpus, --hosted and --all say nothing about an update",
                "leave them out: it looks at all prices of teachers",
            )
        source = llm_prices_file(table) if table else kept_package()
        update_prices(source, today(), add=add, write=write, as_json=as_json)
        return
    if table or add or write:
        raise UserError(
            "FILE, --add and --write belong to an update",
            "write `alpaca-pipe prices update`, or leave them out",
        )
    from alpaca_pipe.ledger.pricing.listing import print_prices

    print_prices(
        find, teachers=teachers, gpus=gpus, hosted=hosted, everything=every, as_json=as_json
    )


@app.command(rich_help_panel=MONEY)
def claims(as_json: Json = False) -> None:
    """Show published claims about the cost of models, each with its source, our number (by the code of `plan`) and a verdict."""
    from alpaca_pipe.planner.claims import print_claims

    print_claims(as_json)


def _ledger_of(runs: Path, rehearse: bool) -> Path:
    return (runs / "rehearsal" if rehearse else runs) / "ledger.sqlite"


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UserError(f"'{text}' is not an amount", "write it like 30 or 0.5")
    return amount


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UserError(f"--from: '{text}' is not a date", "write it like 2026-11-21") from None
