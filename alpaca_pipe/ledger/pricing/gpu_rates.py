"""What an hour of a GPU costs where, what a provider asks for tuning a model, and what each GPU is. Dated, with sources.

Rows are appended, never edited; a GPU that nobody prices is an error, never free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from pydantic import Field

from alpaca_pipe.core.config_table import Exact, Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.price_tables import sheet
from alpaca_pipe.ledger.pricing.user_prices import Day, OwnRow, own_rows, packed_rows, read_row


@dataclass(frozen=True)
class GpuRate:
    """$ for one GPU of a machine and one hour, on demand, from `start` to `end` (both included)."""

    gpu: str  # the short names of hardware.yaml: H100, A100-80, RTX4090
    provider: str
    per_hour: Decimal
    granularity: int  # seconds: a lease is billed in whole ones of these
    source: str
    start: date
    end: date | None
    checked: date

    @property
    def id(self) -> str:
        """`g1-` + 16 hex over everything that was said: an entry that names it is never re-priced."""
        return f"g1-{digest_of(self.to_row())[:16]}"

    @property
    def nanodollars_per_hour(self) -> int:
        return round(Fraction(self.per_hour) * NANO)

    def holds(self, day: date) -> bool:
        return self.start <= day <= (self.end or date.max)

    def to_row(self) -> dict[str, Any]:
        """As plain JSON: exact decimals and days as text."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Hosted:
    """$ per million trained tokens where a provider tunes its model for us; `minimum` is asked for any job."""

    provider: str
    model: str
    per_million: Decimal
    minimum: Decimal
    method: str  # lora, full, or empty where the provider does not say
    source: str
    start: date
    end: date | None
    checked: date

    @property
    def id(self) -> str:
        """`t1-` + 16 hex over everything that was said: an entry that names it is never re-priced."""
        return f"t1-{digest_of(self.to_row())[:16]}"

    def nanodollars(self, tokens: float) -> int:
        """For so many trained tokens; the least of a job at least."""
        asked = round(Fraction(self.per_million) * NANO * round(tokens) / 1_000_000)
        return max(asked, round(Fraction(self.minimum) * NANO))

    def holds(self, day: date) -> bool:
        return self.start <= day <= (self.end or date.max)

    def to_row(self) -> dict[str, Any]:
        return _plain(asdict(self))


@dataclass(frozen=True)
class Gpu:
    """What a GPU is, by its datasheet."""

    name: str
    memory_gib: float
    watts: int  # its power limit as sold
    bf16_tflops: float  # dense, without sparsity; fp16 where the chip has no bf16
    source: str


class OwnGpuRow(Table):
    """A GPU's price in the user's own file."""

    gpu: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    per_hour: Exact = Field(ge=0)
    granularity: int = Field(1, ge=1)
    from_: Day = Field(date.min, alias="from")
    to: Day | None = None
    source: str = ""
    checked: Day | None = None


class OwnTuningRow(Table):
    """A price of tuning in the user's own file; `tuning` is the model."""

    tuning: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    per_million: Exact = Field(ge=0)
    minimum: Exact = Field(Decimal(0), ge=0)
    method: str = ""
    from_: Day = Field(date.min, alias="from")
    to: Day | None = None
    source: str = ""
    checked: Day | None = None


def gpu_rates(day: date, packed: bool = True) -> tuple[GpuRate, ...]:
    """The rate of each GPU at each provider on a day, the user's own before those of the recipe's pack and the book's; the
    cheapest first."""
    held = {
        (rate.gpu, rate.provider): rate
        for rate in (
            *gpu_book(),
            *_rates(packed_rows("gpu") if packed else ()),
            *own_gpu_rates(),
        )
        if rate.holds(day)
    }
    return tuple(sorted(held.values(), key=lambda rate: (rate.per_hour, rate.gpu, rate.provider)))


def rate_of(gpu: str, day: date, provider: str | None = None) -> GpuRate:
    """The rate of a GPU at a provider; without one, the cheapest. UserError where nobody says what it costs."""
    pin = (
        "say what it costs: alpaca-pipe ledger pin-price --gpu NAME --per-hour 2.49 --provider NAME"
    )
    of_gpu = [rate for rate in gpu_rates(day) if rate.gpu == gpu]
    if not of_gpu:
        near = did_you_mean(gpu, {rate.gpu for rate in gpu_rates(day)})
        raise UserError(f"no rate is known for the GPU '{gpu}' on {day}; {near}", pin)
    for rate in of_gpu:
        if provider in (None, rate.provider):
            return rate
    known = ", ".join(sorted({rate.provider for rate in of_gpu}))
    raise UserError(
        f"no rate is known for the GPU '{gpu}' at '{provider}' on {day}; it is known at {known}",
        pin,
    )


def hosted_rates(day: date) -> tuple[Hosted, ...]:
    """What providers ask for tuning on a day, the user's own before the book's; the cheapest first."""
    held = {
        (rate.provider, rate.model, rate.method): rate
        for rate in (*hosted_book(), *own_hosted())
        if rate.holds(day)
    }
    return tuple(
        sorted(
            held.values(),
            key=lambda rate: (rate.per_million, rate.minimum, rate.provider, rate.model),
        )
    )


def hosted_rate(
    provider: str, model: str, method: str, day: date, parameters: float | None = None
) -> Hosted:
    """What a provider asks for tuning a model: by its name, else by the size that its price list names (`up-to-16B`). UserError
    where nobody says."""
    here = [
        rate
        for rate in hosted_rates(day)
        if rate.provider == provider and rate.method in ("", method)
    ]
    called = model.rpartition("/")[2]
    for rate in here:
        if rate.model in (model, called):
            return rate
    size = parameters or _size_in(called)
    for rate in here:
        low, high = _sizes(rate.model)
        if size is not None and high and low <= size / 1e9 <= high:
            return rate
    known = ", ".join(sorted({rate.model for rate in here})) or "none"
    raise UserError(
        f"no price of {provider} is known for tuning '{model}' by {method} on {day} (known there: {known})",
        "add a row to your price file: {tuning: MODEL, provider: "
        f"{provider}, method: {method}, per_million: 0.50, from: {day}}}",
    )


def _size_in(name: str) -> float | None:
    """`Qwen3.5-9B` has 9e9 parameters."""
    found = re.search(r"(?i)(?:^|[-_])(\d+(?:\.\d+)?)b(?:$|[-_])", name)
    return float(found[1]) * 1e9 if found else None


def _sizes(name: str) -> tuple[float, float]:
    """In billions: `up-to-16B`, `17B-69B`; (0, 0) where it names none."""
    found = re.fullmatch(r"(?i)(?:up-to-|(\d+)b-)(\d+)b", name)
    return (float(found[1] or 0), float(found[2])) if found else (0.0, 0.0)


@cache
def gpus() -> dict[str, Gpu]:
    """The GPUs whose datasheets we hold, by their short names."""
    return {
        row["gpu"]: Gpu(
            row["gpu"],
            float(row["memory_gib"]),
            int(row["watts"]),
            float(row["bf16_tflops"]),
            row["source"],
        )
        for row in sheet("hardware").rows
    }


def gpu_named(detected_name: str) -> Gpu | None:
    """The GPU that a driver calls "NVIDIA H200" or "NVIDIA A100-SXM4-80GB". None for one that we do not know: a slice
    (MIG), a laptop's, a cut-down edition."""
    return _by_detected_name().get(_told_apart(detected_name))


@cache
def _by_detected_name() -> dict[str, Gpu]:
    names = {_told_apart(name): gpu for name, gpu in gpus().items()}
    for name, detected in sheet("hardware").head["detected"].items():
        names |= {_told_apart(each): gpus()[name] for each in detected}
    return names


def _told_apart(name: str) -> str:
    """A driver's name without its makers and marks: `NVIDIA A100-SXM4-80GB` and `a100 sxm4 80gb` are one."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return "".join(
        word
        for word in words
        if word not in ("nvidia", "tesla", "geforce", "amd", "instinct", "graphics")
    )


@cache
def gpu_book() -> tuple[GpuRate, ...]:
    """Every rate that ships with the package, oldest first."""
    rates = [
        GpuRate(
            row["gpu"],
            row["provider"],
            Decimal(row["per_hour"]),
            int(row["granularity"]),
            row["source"],
            *_days(row),
        )
        for row in sheet("gpus").rows
    ]
    return tuple(sorted(rates, key=lambda rate: rate.start))


@cache
def hosted_book() -> tuple[Hosted, ...]:
    """Every price of tuning that ships with the package, oldest first."""
    rates = [
        Hosted(
            row["provider"],
            row["model"],
            Decimal(row["per_million"]),
            Decimal(row.get("minimum", 0)),
            row.get("method", ""),
            row["source"],
            *_days(row),
        )
        for row in sheet("hosted").rows
    ]
    return tuple(sorted(rates, key=lambda rate: rate.start))


def own_gpu_rates() -> tuple[GpuRate, ...]:
    """The rates of the user's own file; of two that hold, the later one is the price."""
    return _rates(own_rows("gpu"))


def _rates(found: Iterable[OwnRow]) -> tuple[GpuRate, ...]:
    rows = [(read_row(OwnGpuRow, own), own) for own in found]
    return tuple(
        sorted(
            (
                GpuRate(row.gpu, row.provider, row.per_hour, row.granularity, *_said(row, own))
                for row, own in rows
            ),
            key=lambda rate: rate.start,
        )
    )


def own_hosted() -> tuple[Hosted, ...]:
    """The prices of tuning of the user's own file; of two that hold, the later one is the price."""
    rows = [(read_row(OwnTuningRow, own), own) for own in own_rows("tuning")]
    return tuple(
        sorted(
            (
                Hosted(
                    row.provider,
                    row.tuning,
                    row.per_million,
                    row.minimum,
                    row.method,
                    *_said(row, own),
                )
                for row, own in rows
            ),
            key=lambda rate: rate.start,
        )
    )


def _said(row: OwnGpuRow | OwnTuningRow, own: OwnRow) -> tuple[str, date, date | None, date]:
    """Source, first and last day, day of the check."""
    return row.source or f"pinned at {own.place}", row.from_, row.to, row.checked or row.from_


def _days(row: dict[str, str]) -> tuple[date, date | None, date]:
    end = row.get("to")
    return (
        date.fromisoformat(row["from"]),
        date.fromisoformat(end) if end else None,
        date.fromisoformat(row["checked"]),
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    def text(value: Any) -> Any:
        if isinstance(value, Decimal):
            return f"{value.normalize():f}"
        return str(value) if isinstance(value, date) else value

    return {name: text(value) for name, value in row.items()}
