"""`alpaca-pipe ledger pin-price`: a dated price, appended to the user's own file. What stands there is never edited: what
was paid at a price stays paid at it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.ledger.pricing.gpu_rates import GpuRate, OwnGpuRow, gpu_named, gpu_rates, gpus
from alpaca_pipe.ledger.pricing.token_prices import (
    Mode,
    OwnPriceRow,
    Price,
    book,
    hosts,
    prices_on,
    provider_at,
)
from alpaca_pipe.ledger.pricing.user_prices import (
    Kind,
    OwnRow,
    own_file,
    own_text,
    read_row,
    rows_in,
)

_HEAD = (
    "# Prices of your own. Rows are dated and appended (alpaca-pipe ledger pin-price); they win over the price book\n"
    "# that ships with alpaca-pipe.\n"
)
_OPENAI = "api.openai.com"


@dataclass(frozen=True)
class TypedPrices:
    """$ per million tokens as they were typed; None where a class is not given."""

    in_: str
    out: str
    cache_read: str | None = None
    cache_write: str | None = None
    reasoning: str | None = None


def refuse_strangers(
    of_gpu: bool, of_models: Mapping[str, object], of_gpus: Mapping[str, object]
) -> None:
    """UserError for an option that says nothing about what is priced: it would be dropped without a word."""
    for name, value in (of_models if of_gpu else of_gpus).items():
        if value is not None:
            raise UserError(
                f"--{name} says nothing about the price of a {'GPU' if of_gpu else 'model'}",
                f"leave it out, or price the {'model' if of_gpu else 'GPU'} by a command of its own",
            )


def pin_price(
    model: str,
    figures: TypedPrices,
    today: date,
    *,
    host: str = "",
    mode: Mode = "online",
    start: date | None = None,
    source: str = "",
) -> list[str]:
    """Appends what a model costs; answers the lines to show. Without a host it is the one where the book knows the
    model, else OpenAI's. UserError, and nothing is written, where the row says nothing or contradicts one of its day."""
    if not model.strip() or holds_a_key(model):
        raise UserError(
            f"the model {'has no name' if not model.strip() else 'looks like a key'}",
            "write its name as its endpoint calls it, such as gpt-6-luna",
        )
    at = _plain_host(host) if host else _host_of(model)
    cells: dict[str, Any] = {"model": model, "host": at}
    cells |= {"mode": mode} if mode != "online" else {}
    for name, text in (
        ("in", figures.in_),
        ("out", figures.out),
        ("cache_read", figures.cache_read),
        ("cache_write", figures.cache_write),
        ("reasoning", figures.reasoning),
    ):
        if text is not None:
            cells[name] = _dollars(f"--{name.replace('_', '-')}", text)
    first = start or today
    before = _held(model, at, mode, first)
    place = _append("price", cells | _when(first, today, source))
    return [
        *place,
        _was(f"'{model}' at {at}{' in batches' if mode == 'batch' else ''}", before, first),
    ]


def pin_gpu(
    gpu: str,
    per_hour: str,
    provider: str,
    today: date,
    *,
    granularity: int = 1,
    start: date | None = None,
    source: str = "",
) -> list[str]:
    """Appends what an hour of a GPU costs; answers the lines to show. UserError, and nothing is written, as above."""
    known = gpu_named(gpu)
    name = known.name if known else gpu
    first = start or today
    before = next(
        (rate for rate in gpu_rates(first) if (rate.gpu, rate.provider) == (name, provider)), None
    )
    cells = {"gpu": name, "provider": provider, "per_hour": _dollars("--per-hour", per_hour)}
    cells |= {"granularity": granularity} if granularity != 1 else {}
    place = _append("gpu", cells | _when(first, today, source))
    lines = [*place, _was(f"{name} at {provider}", before, first)]
    if known is None:
        lines.append(
            f"note: no datasheet is known for '{gpu}', so what fits in it is not known; "
            f"{did_you_mean(gpu, gpus())}"
        )
    return lines


def _plain_host(text: str) -> str:
    """The host of an address too: prices are found by it alone, whatever scheme, port or path is asked. UserError."""
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname
    except ValueError:
        host = None
    if not host or " " in host:
        raise UserError(f"--host {text}: no host", "write it like --host api.example.com")
    return host


def _host_of(model: str) -> str:
    """Where the book knows a model. UserError where several providers do and OpenAI is none of them."""
    providers = {price.provider for price in book() if price.model == model}
    known = sorted(host for host, provider in hosts().items() if provider in providers)
    if "openai" in providers or not known:
        return _OPENAI
    if len(providers) > 1:
        raise UserError(
            f"the model '{model}' is known at several hosts: {', '.join(known)}",
            f"say whose price this is, for example --host {known[0]}",
        )
    return known[0]


def _held(model: str, host: str, mode: Mode, day: date) -> Price | None:
    named = (provider_at(host), model, mode)
    return next(
        (price for price in prices_on(day) if (price.provider, price.model, price.mode) == named),
        None,
    )


def _when(first: date, today: date, source: str) -> dict[str, Any]:
    return {"from": first, "checked": today, **({"source": source} if source else {})}


def _dollars(option: str, text: str) -> Decimal:
    try:
        figure = Decimal(text)
    except InvalidOperation:
        raise UserError(
            f"{option} {text}: not a figure", f"write it like {option} 0.15, in dollars"
        ) from None
    if not figure.is_finite() or figure < 0:
        raise UserError(
            f"{option} {text}: a price is zero or more", f"write it like {option} 0.15, in dollars"
        )
    return figure


def _append(kind: Kind, cells: dict[str, Any]) -> list[str]:
    """Writes a row to the end of the user's file, after the whole file was read as it would be then."""
    path = own_file()
    row = _as_yaml(cells)
    text = own_text() or _HEAD
    standing = [own for named, own in rows_in(text, str(path)) if named == kind]
    for own in standing:
        if _names(kind, own) == _names(kind, OwnRow(cells, "")):
            raise UserError(
                f"{own.place} already pins this price from {cells['from']} on",
                "give the day on which the new price began with --from, or remove that row",
            )
    gap = "" if text.endswith("\n") else "\n"
    after = rows_in(f"{text}{gap}{row}", str(path))
    if len(after) != len(rows_in(text, str(path))) + 1:
        raise UserError(
            f"{path}: a row cannot be appended to this file",
            "make it a list, each row behind a dash",
        )
    read_row(OwnPriceRow if kind == "price" else OwnGpuRow, after[-1][1])
    append_to(path, f"{gap}{row}" if own_text() else f"{_HEAD}{row}")
    return [f"written to {path}:", f"  {row.rstrip()}"]


def append_all(kind: Kind, rows: list[dict[str, Any]]) -> list[str]:
    """Appends rows in one write; one that pins the same thing from the same day as a row that stands is left out, and said.
    Answers the lines to show. UserError, and nothing is written, where the file would not read."""
    path, text = own_file(), own_text() or _HEAD
    standing = {_names(kind, own) for named, own in rows_in(text, str(path)) if named == kind}
    fresh = [cells for cells in rows if _names(kind, OwnRow(cells, "")) not in standing]
    lines = []
    if fresh:
        added = "".join(map(_as_yaml, fresh))
        gap = "" if text.endswith("\n") else "\n"
        after = rows_in(f"{text}{gap}{added}", str(path))
        for _, own in after[-len(fresh) :]:
            read_row(OwnPriceRow if kind == "price" else OwnGpuRow, own)
        append_to(path, f"{gap}{added}" if own_text() else f"{_HEAD}{added}")
        lines.append(f"{len(fresh)} row{'s' * (len(fresh) != 1)} appended to {path}")
    if left := len(rows) - len(fresh):
        lines.append(f"{left} of them stood there already, from the same day on")
    return lines


def _names(kind: Kind, own: OwnRow) -> tuple[Any, ...]:
    """What a row prices, and from which day on."""
    if kind == "gpu":
        gpu = read_row(OwnGpuRow, own)
        return gpu.gpu, gpu.provider, gpu.from_
    price = read_row(OwnPriceRow, own)
    return price.model, price.provider or provider_at(price.host), price.mode, price.from_


def append_to(path: Path, text: str) -> None:
    """To the end of the file itself, which may be a link into somebody's dotfiles."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(
            f"the price file {path} cannot be written: {error.strerror}",
            "make it writable, or point ALPACA_PIPE_PRICES at another one",
        ) from None


def _as_yaml(cells: dict[str, Any]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, str) and not value.isprintable():
            raise UserError(
                f"{value!r} has characters that cannot be printed",
                "write it on one line, in plain text",
            )
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)

    return f"- {{{', '.join(f'{name}: {cell(value)}' for name, value in cells.items())}}}\n"


def _was(what: str, before: Price | GpuRate | None, first: date) -> str:
    now = f"from {first} on this is the price of {what}"
    if before is None:
        return f"{now}; it had no price before"
    if isinstance(before, GpuRate):
        return f"{now}; it was ${before.per_hour:f} an hour ({before.source})"
    each = before.per_million
    return (
        f"{now}; it was ${each['uncached_in']:f} in, ${each['visible_out']:f} out ({before.source})"
    )
