"""Tables of token prices that others keep: the package genai-prices, and a file in llm-prices' form.

Both are dated in parts only. `seen` is the last day on which a row must have been as it is: a day that the row itself names;
for a row that names none, None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.ledger.pricing.token_prices import Mode

_VERIFIED = lazy_regex(r"(?i)\b(?:verified|checked) on (20\d\d-\d\d-\d\d)")
_OF_A_TIER = lazy_regex(r"(?i)\b(?:batch|flex|priority|fast)\b")
# Their names of providers, where ours are others.
_OURS = {"moonshotai": "moonshot", "x-ai": "xai", "google-ai": "google", "amazon": "aws"}
_CLASSES = {
    "in": "input_mtok",
    "out": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}


@dataclass(frozen=True)
class TablePrice:
    """One model's price in somebody's table on a day: $ per million tokens by the keys of `PriceTable`."""

    figures: Mapping[str, Decimal]
    source: str
    most_in: int | None = None
    start: date | None = None
    seen: date | None = None


# (provider, model, mode, day) -> its price there; None where the table has none.
PriceLookup = Callable[[str, str, Mode, date], TablePrice | None]


@dataclass(frozen=True)
class PriceSource:
    """name: what is shown. named: of all models that it has of a provider."""

    name: str
    find: PriceLookup
    named: Callable[[str], Iterator[str]]


def kept_package() -> PriceSource:
    """genai-prices as it is installed. UserError where it is not."""
    try:
        release = version("genai-prices")
    except PackageNotFoundError:
        raise UserError(
            "the package genai-prices, which keeps tables of prices, is not installed",
            "pip install 'alpaca-pipe[prices]', or name a file in llm-prices' form: "
            "alpaca-pipe prices update FILE",
        ) from None
    from genai_prices.data import providers

    ours = {_OURS.get(one.id, one.id): one for one in providers}
    name = f"genai-prices {release}"

    def find(provider: str, model: str, mode: Mode, day: date) -> TablePrice | None:
        theirs = ours.get(provider)
        found = theirs.find_model(model) if theirs else None
        if theirs is None or found is None:
            return None
        priced = _batch_price(found, day) if mode == "batch" else _dearest(found, day)
        page = (theirs.pricing_urls or ["its pricing page"])[0]
        return _as_table(priced, found, f"{page} by way of {name} (MIT)", day, mode)

    def named(provider: str) -> Iterator[str]:
        theirs = ours.get(provider)
        return (one.id for one in (theirs.models if theirs else ()))

    return PriceSource(name, find, named)


def _dearest(found: Any, day: date) -> Any:
    """Its price at the hour of a day at which it costs most: some providers are cheaper at night."""
    hours = (datetime(day.year, day.month, day.day, hour, tzinfo=UTC) for hour in range(24))
    return max(map(found.get_prices, hours), key=lambda one: _base(getattr(one, "output_mtok", 0)))


def _batch_price(found: Any, day: date) -> Any:
    """The batch's own figures: what it does not name is not taken from the price online."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return next(
        (
            one.prices
            for one in found.price_variants or ()
            if one.when == {"processing": "batch"}
            and (one.constraint is None or one.constraint.active(at))
        ),
        None,
    )


def _base(value: Any) -> Decimal:
    """Of a price in tiers, for the shortest requests."""
    return Decimal(getattr(value, "base", value) or 0)


def _verified(comments: str, mode: Mode, day: date) -> Iterator[date]:
    """The days on which somebody held this mode's figures against the provider's page, as the comments say."""
    for sentence in re.split(r"(?<=[a-z)\d])[.;] ", comments):
        batch = "batch" in sentence.lower()
        if batch if mode == "batch" else not _OF_A_TIER.search(sentence):
            days = (date.fromisoformat(text) for text in _VERIFIED.findall(sentence))
            yield from (one for one in days if one <= day)


def _as_table(priced: Any, found: Any, source: str, day: date, mode: Mode) -> TablePrice | None:
    """None where it is not priced by the token. A tier ends the price: a longer request costs more."""
    figures: dict[str, Decimal] = {}
    starts: list[int] = []
    for ours, theirs in _CLASSES.items():
        value = getattr(priced, theirs, None)
        if value is None:
            continue
        tiers = getattr(value, "tiers", ())
        starts += [tier.start for tier in tiers]
        figures[ours] = _base(value)
    if not {"in", "out"} <= figures.keys():
        return None
    began = [
        one.constraint.start_date
        for one in (found.prices if isinstance(found.prices, list) else ())
        if getattr(one.constraint, "start_date", None) and one.constraint.start_date <= day
    ]
    seen = max((*began, *_verified(found.price_comments or "", mode, day)), default=None)
    return TablePrice(figures, source, min(starts, default=None), max(began, default=None), seen)


def llm_prices_file(path: Path) -> PriceSource:
    """A JSON file as simonw/llm-prices publishes them: `prices` with id, vendor, input, output, input_cached, from_date, to_date.
    UserError where it is none."""
    cure = "give a file like llm-prices' current-v1.json or historical-v1.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
    except (OSError, ValueError, RecursionError) as error:
        what = getattr(error, "strerror", None) or "no JSON"
        raise UserError(f"{path}: {what}", cure) from None
    rows = said.get("prices") if isinstance(said, dict) else said
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{path}: it holds no list of prices", cure)
    updated = _day_in(said.get("updated_at"), path) if isinstance(said, dict) else None
    table: dict[tuple[str, str], list[TablePrice]] = {}
    until: dict[int, date | None] = {}
    for place, row in enumerate(rows, 1):
        model, price, last = _llm_row(row, f"{path}: price {place}", path, updated)
        table.setdefault(model, []).append(price)
        until[id(price)] = last

    def find(provider: str, model: str, mode: Mode, day: date) -> TablePrice | None:
        held = [
            one
            for one in table.get((provider, model), ())
            if (one.start or date.min) <= day <= (until[id(one)] or date.max)
        ]
        return held[-1] if held and mode == "online" else None

    def named(provider: str) -> Iterator[str]:
        return (model for vendor, model in table if vendor == provider)

    return PriceSource(path.name, find, named)


def _llm_row(
    row: Any, place: str, path: Path, updated: date | None
) -> tuple[tuple[str, str], TablePrice, date | None]:
    if not isinstance(row, dict) or not all(
        isinstance(row.get(name), str) and row[name] for name in ("id", "vendor")
    ):
        raise UserError(f"{place} names no id and vendor", "fix that row, or remove it")
    figures = {}
    for ours, theirs in (("in", "input"), ("out", "output"), ("cache_read", "input_cached")):
        value = row.get(theirs)
        if value is None and ours == "cache_read":
            continue
        if not isinstance(value, Decimal) or value < 0:
            raise UserError(
                f"{place}: {theirs}: {value!r} is not a price", "write dollars a million tokens"
            )
        figures[ours] = value
    vendor = str(_OURS.get(row["vendor"], row["vendor"]))
    price = TablePrice(
        figures,
        f"{path.name}, in llm-prices' form" + (f", of {updated}" if updated else ""),
        None,
        _day_in(row.get("from_date"), path),
        updated,
    )
    return (vendor, row["id"]), price, _day_in(row.get("to_date"), path)


def _day_in(said: Any, path: Path) -> date | None:
    if said is None:
        return None
    try:
        return date.fromisoformat(re.split(r"[T ]", str(said))[0])
    except ValueError:
        raise UserError(f"{path}: '{said}' is not a date", "write it like 2026-11-30") from None
