"""The user's own prices on their way: those that a recipe names go along, and lie in the workspace there, for that recipe alone.

They never reach the other user's own file, which comes before them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.outside_numbers import BadNumber, exact_number
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.pricing.gpu_rates import OwnGpuRow, gpu_rates, own_gpu_rates
from alpaca_pipe.ledger.pricing.token_prices import Price, own_prices, price_in
from alpaca_pipe.ledger.pricing.user_prices import (
    Kind,
    OwnRow,
    own_rows,
    packed_rows,
    read_row,
    rows_in,
)
from alpaca_pipe.pack.manifest import STRANGE
from alpaca_pipe.pack.stranger_recipe import below_the_book, teachers_in
from alpaca_pipe.recipe.schema import Recipe

FILE = "prices.yaml"
_MOST = 1_000_000  # $ for a million tokens, or for an hour


def pins_for(recipe: Recipe) -> str:
    """The rows of the user's file, and of the recipe's own pack, that a recipe names, as such a file; "" where there is none."""
    kinds: tuple[Kind, ...] = ("price", "gpu")
    rows = [
        row.values
        for kind in kinds
        for row in (*packed_rows(kind), *own_rows(kind))
        if _is_named(recipe, kind, row)
    ]
    return _as_file(rows)


def pins_in(file: Path, recipe: Recipe, pack: Path) -> tuple[list[str], list[str]]:
    """What a pack's prices say, and what of it should be agreed to, each in a sentence. UserError for a row that the recipe does
    not name, or that is none."""
    says, asks = [], []
    for kind, row in rows_in(file.read_text(encoding="utf-8", errors="replace"), FILE):
        if kind == "tuning" or not _is_named(recipe, kind, row):
            raise UserError(f"{pack} prices {_named(row)}, which its recipe does not name", STRANGE)
        try:
            for figure in _figures(kind, row):
                exact_number(figure, most=_MOST)
        except BadNumber as error:
            raise UserError(f"{pack} prices {_named(row)} at {error}", STRANGE) from None
        if _is_priced_here(kind, row):
            says.append(f"your own price of {_named(row)} stays, whatever the packed one says")
            continue
        says.append(f"its price of {_named(row)} holds for this recipe in this workspace")
        if below := below_the_book(price_in(row)) if kind == "price" else _below_rates(row):
            asks.append(below)
    return says, asks


def _is_named(recipe: Recipe, kind: Kind, row: OwnRow) -> bool:
    if kind == "price":
        price = price_in(row)
        return any(
            (teacher.called, teacher.provider) == (price.model, price.provider)
            for teacher in teachers_in(recipe)
            if teacher.price is None and teacher.host
        )
    gpu, rate = recipe.tables.get("gpu"), read_row(OwnGpuRow, row)
    if not isinstance(gpu, GpuTable) or gpu.per_hour is not None:
        return False  # the recipe says itself what an hour costs
    return gpu.provider in (None, rate.provider) and gpu.name in (None, rate.gpu)


def _is_priced_here(kind: Kind, row: OwnRow) -> bool:
    """Whether the user's own file prices the same on this day, which comes first."""
    if kind == "gpu":
        rate = read_row(OwnGpuRow, row)
        return any(
            (one.gpu, one.provider) == (rate.gpu, rate.provider) and one.holds(today())
            for one in own_gpu_rates()
        )
    price = price_in(row)
    return any(
        (one.model, one.provider, one.mode) == (price.model, price.provider, price.mode)
        and one.holds(today())
        for one in own_prices()
    )


def _below_rates(row: OwnRow) -> str:
    rate = read_row(OwnGpuRow, row)
    known = next(
        (
            one
            for one in gpu_rates(today(), packed=False)
            if (one.gpu, one.provider) == (rate.gpu, rate.provider)
        ),
        None,
    )
    if known is None or rate.per_hour >= known.per_hour:
        return ""
    return (
        f"it counts an hour of {rate.gpu} at {rate.provider} at ${rate.per_hour:f}, below the ${known.per_hour:f} that are "
        "known, so caps would hold for less than is billed"
    )


def _figures(kind: Kind, row: OwnRow) -> Iterator[Any]:
    if kind == "gpu":
        yield read_row(OwnGpuRow, row).per_hour
    else:
        price: Price = price_in(row)
        yield from price.per_million.values()


def _named(row: OwnRow) -> str:
    names = ("model", "gpu", "tuning", "host", "provider", "mode")
    return " ".join(str(row.values[name])[:80] for name in names if name in row.values)


def _as_file(rows: list[dict[str, Any]]) -> str:
    import io

    from ruamel.yaml import YAML

    if not rows:
        return ""
    out, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # a row a line
    yaml.width = 4096
    yaml.dump(rows, out)
    return out.getvalue()
