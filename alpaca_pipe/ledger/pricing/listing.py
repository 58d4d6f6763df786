"""`alpaca-pipe prices`: what teachers, GPUs and a provider's tuning cost today, who says so, and how long ago."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo_json, new_console
from alpaca_pipe.core.today import today as this_day
from alpaca_pipe.ledger.pricing.end_of_life import PastItsEnd, ending_of, living
from alpaca_pipe.ledger.pricing.gpu_rates import (
    GpuRate,
    Hosted,
    gpu_book,
    gpu_rates,
    hosted_book,
    hosted_rates,
    own_gpu_rates,
    own_hosted,
)
from alpaca_pipe.ledger.pricing.price_tables import sheet
from alpaca_pipe.ledger.pricing.token_prices import Price, book, host_of, own_prices, prices_on
from alpaca_pipe.ledger.pricing.user_prices import own_file

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_FIRST = 15  # rows of each table where nothing was asked for
_FEW = 6  # rows of which each says who said so
_NOT_A_TERMINAL = 160


@dataclass(frozen=True)
class Listed:
    """What is shown: each the cheapest first."""

    teachers: tuple[Price, ...]
    gpus: tuple[GpuRate, ...]
    hosted: tuple[Hosted, ...]


def print_prices(
    find: str = "",
    today: date | None = None,
    *,
    teachers: bool = False,
    gpus: bool = False,
    hosted: bool = False,
    everything: bool = False,
    as_json: bool = False,
) -> None:
    """What holds today and contains `find`; `everything`: past and announced prices too. UserError: nothing found."""

    day = today or this_day()
    listed = listing(find, day, teachers=teachers, gpus=gpus, hosted=hosted, everything=everything)
    if as_json:
        echo_json(to_json(listed, day))
        return
    console = new_console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _NOT_A_TERMINAL
    limit = None if find or teachers or gpus or hosted or everything else _FIRST
    _print_teachers(listed.teachers, day, console, limit, everything)
    _print_gpus(listed.gpus, day, console, limit, everything)
    _print_hosted(listed.hosted, day, console, limit, everything)
    console.print(age_of_the_book(day))


def listing(
    find: str,
    day: date,
    *,
    teachers: bool = False,
    gpus: bool = False,
    hosted: bool = False,
    everything: bool = False,
) -> Listed:
    """Every kind where none is asked for. UserError where nothing contains `find`."""
    none = not (teachers or gpus or hosted)
    prices = (*book(), *own_prices()) if everything else tuple(living(prices_on(day), day))
    rates = (*gpu_book(), *own_gpu_rates()) if everything else gpu_rates(day)
    tuning = (*hosted_book(), *own_hosted()) if everything else hosted_rates(day)
    found = Listed(
        tuple(
            sorted(
                (p for p in prices if (none or teachers) and _named(find, p.model, p.provider)),
                key=lambda p: (blended(p), p.model, p.start or date.min),
            )
        ),
        tuple(
            sorted(
                (r for r in rates if (none or gpus) and _named(find, r.gpu, r.provider)),
                key=lambda r: (r.per_hour, r.gpu, r.provider, r.start),
            )
        ),
        tuple(h for h in tuning if (none or hosted) and _named(find, h.model, h.provider)),
    )
    if (none or teachers) and not found.teachers:
        _refuse_ended(find, day)
    if not (found.teachers or found.gpus or found.hosted):
        raise UserError(
            f"nothing in the price book is called '{find}'"
            if find
            else "the price book has no such price",
            "look for a part of a model's, GPU's or provider's name, with --all among past prices, or say what "
            "it costs: alpaca-pipe ledger pin-price",
        )
    return found


def _refuse_ended(find: str, day: date) -> None:
    """Raises PastItsEnd where what is looked for has ended."""
    for price in prices_on(day):
        if find and _named(find, price.model) and not any(living([price], day)):
            ending = ending_of(price.model, host_of(price.provider))
            assert ending is not None
            raise PastItsEnd(ending, day)


def blended(price: Price) -> Decimal:
    """$ per million tokens where three go in for one that comes out."""
    return (3 * price.per_million["uncached_in"] + price.per_million["visible_out"]) / 4


def to_json(listed: Listed, day: date) -> dict[str, Any]:
    def rows(
        items: Iterable[Price | GpuRate | Hosted], own: Sequence[Price | GpuRate | Hosted]
    ) -> list[dict[str, Any]]:
        return [
            item.to_row() | {"days_since_checked": _age(item.checked, day), "own": item in own}
            for item in items
        ]

    teachers = rows(listed.teachers, own_prices())
    for row, price in zip(teachers, listed.teachers, strict=True):
        row["blended"] = f"{blended(price).normalize():f}"
        ending = ending_of(price.model, host_of(price.provider)) if price.provider else None
        row["ends"] = str(ending.day) if ending else None
        row["replacement"] = ending.replacement if ending else ""
    return {
        "day": str(day),
        "teachers": teachers,
        "gpus": rows(listed.gpus, own_gpu_rates()),
        "hosted": rows(listed.hosted, own_hosted()),
    }


def age_of_the_book(day: date) -> str:
    """How old what ships is, whose rows win over it, and how to add one's own."""
    every: list[Price | GpuRate] = [*book(), *gpu_book()]
    shipped = [item for item in every if item.holds(day)]
    ages = sorted(age for item in shipped if (age := _age(item.checked, day)) is not None)
    own = len(own_prices()) + len(own_gpu_rates()) + len(own_hosted())
    yours = (
        f"{own} row{'s' if own != 1 else ''} of your own in {own_file()} win over it"
        if own
        else f"rows of your own in {own_file()} would win over it"
    )
    held = sheet("openai").head["rechecked"]
    return (
        f"The book: {len(shipped)} prices of today, checked {ages[0]} to {ages[-1]} days ago, half of them within "
        f"{ages[len(ages) // 2]}; tokens held on {held}; {yours}. `alpaca-pipe prices update` looks again. "
        "Pin what you pay:\n"
        "  alpaca-pipe ledger pin-price MODEL --in 0.15 --out 0.60 --host api.example.com\n"
        "  alpaca-pipe ledger pin-price --gpu H100 --per-hour 2.49 --provider NAME"
    )


def _print_teachers(
    prices: Sequence[Price], day: date, console: Console, limit: int | None, dated: bool
) -> None:
    """Names of one model at one price are one row."""
    families: dict[tuple[Any, ...], list[Price]] = {}
    for price in prices:
        said = (
            price.provider,
            price.mode,
            *price.per_million.values(),
            price.most_in,
            price.start,
            price.end,
            price.source,
            price.checked,
        )
        families.setdefault((*said, _family(price.model, prices)), []).append(price)
    rows = [
        (min(family, key=lambda price: len(price.model)), len(family) - 1)
        for family in families.values()
    ]
    table = _table(
        "teachers, $ per million tokens",
        ("model", "at"),
        ("in", "cached", "out", "3 in : 1 out"),
        dated,
    )
    for price, others in rows[:limit]:
        each = price.per_million
        cached = _money(each["cache_read"]) if each["cache_read"] != each["uncached_in"] else ""
        notes = [
            f"+{others} dated" if others else "",
            "in batches" if price.mode == "batch" else "",
            f"to {price.most_in:,} in" if price.most_in else "",
            _until(price.end, day, dated),
            _ends(price, day),
        ]
        table.add_row(
            price.model,
            price.provider,
            _money(each["uncached_in"]),
            cached,
            _money(each["visible_out"]),
            _money(blended(price)),
            *_days(price.start, price.end, dated),
            _ago(price.checked, day),
            ", ".join(note for note in notes if note),
        )
    _show(table, [price for price, _ in rows], console, limit, "--teachers")


def _print_gpus(
    rates: Sequence[GpuRate], day: date, console: Console, limit: int | None, dated: bool
) -> None:
    table = _table(
        "GPUs, $ an hour for one, on demand", ("gpu", "at"), ("an hour", "billed by"), dated
    )
    for rate in rates[:limit]:
        table.add_row(
            rate.gpu,
            rate.provider,
            _money(rate.per_hour),
            _spell(rate.granularity),
            *_days(rate.start, rate.end, dated),
            _ago(rate.checked, day),
            _until(rate.end, day, dated),
        )
    _show(table, rates, console, limit, "--gpus")


def _print_hosted(
    rates: Sequence[Hosted], day: date, console: Console, limit: int | None, dated: bool
) -> None:
    table = _table(
        "tuned by the provider, $ per million trained tokens",
        ("model", "at"),
        ("trained", "at least"),
        dated,
    )
    for rate in rates[:limit]:
        table.add_row(
            rate.model,
            rate.provider,
            _money(rate.per_million),
            _money(rate.minimum) if rate.minimum else "",
            *_days(rate.start, rate.end, dated),
            _ago(rate.checked, day),
            ", ".join(note for note in (rate.method, _until(rate.end, day, dated)) if note),
        )
    _show(table, rates, console, limit, "--hosted")


def _table(title: str, names: Sequence[str], figures: Sequence[str], dated: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in names:
        table.add_column(name, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for name in (*(("from", "to") if dated else ()), "checked", ""):
        table.add_column(name)
    return table


def _show(
    table: Table,
    rows: Sequence[Price | GpuRate | Hosted],
    console: Console,
    limit: int | None,
    flag: str,
) -> None:
    if not rows:
        return
    console.print(table)
    if limit is not None and len(rows) > limit:
        console.print(
            f"  and {len(rows) - limit} more: alpaca-pipe prices {flag}, or a part of a name",
            style="dim",
        )
    if len(rows) <= _FEW:
        for source in dict.fromkeys(row.source for row in rows):
            console.print(f"  source: {source}", style="dim")
    console.print()


def _family(model: str, prices: Sequence[Price]) -> str:
    """The name of which this is a dated edition, or the name itself: gpt-4.1 for gpt-4.1-2025-04-14."""
    names = {price.model for price in prices}
    stem = model
    while "-" in stem:
        stem = stem.rpartition("-")[0]
        if stem in names and model.removeprefix(stem).replace("-", "").isdigit():
            return stem
    return model


def _named(find: str, *names: str) -> bool:
    return any(find.lower() in name.lower() for name in names)


def _age(checked: date | None, day: date) -> int | None:
    return (day - checked).days if checked and checked != date.min else None


def _ago(checked: date | None, day: date) -> str:
    age = _age(checked, day)
    return "" if age is None else "today" if age <= 0 else f"{age} day{'s' if age > 1 else ''} ago"


def _until(end: date | None, day: date, dated: bool) -> str:
    return f"until {end}" if end and end >= day and not dated else ""


def _ends(price: Price, day: date) -> str:
    ending = ending_of(price.model, host_of(price.provider)) if price.provider else None
    if ending is None:
        return ""
    return f"{'ended' if ending.past(day) else 'ends'} {ending.day}"


def _days(start: date | None, end: date | None, dated: bool) -> tuple[str, ...]:
    return (str(start or ""), str(end or "")) if dated else ()


def _money(amount: Decimal) -> str:
    """As it was said, with two places at least."""
    text = f"{amount.normalize():f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places:0<2}"


def _spell(seconds: int) -> str:
    return {1: "second", 60: "minute", 3600: "hour"}.get(seconds, f"{seconds} s")
