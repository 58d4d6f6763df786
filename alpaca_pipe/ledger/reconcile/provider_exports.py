"""What a provider says it charged: OpenAI's organization costs (JSON) or a FOCUS CSV, read into one shape.

OpenAI: pages of `GET /v1/organization/costs?group_by=line_item`, one, several in a list, or one a line; an amount is
a number or a decimal string. FOCUS: any version with BilledCost and ChargePeriodStart; gzipped or not. Where a row has
the name that we gave an attempt (x_ClientRequestId, ResourceId, or a value of Tags), it is that attempt's charge.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import refuse_pipe
from alpaca_pipe.core.outside_numbers import (
    BadNumber,
    exact_json,
    exact_json_at,
    exact_number,
    whole_number,
)
from alpaca_pipe.ledger.money import NANO

_NAME = re.compile(r"r\d+-[\w-]+\.\d+\.\w+")  # entries.py: Attempt.name
_NAMED_BY = ("x_ClientRequestId", "x_client_request_id", "ResourceId")
_ITEM_OF = (
    "SkuId",
    "SkuMeter",
    "x_SkuDescription",
    "ChargeDescription",
    "ResourceName",
    "ServiceName",
)
_NO_USAGE = ("Tax", "Credit")  # what a bill holds besides the requests
MOST_BILLED = Decimal(10**9)  # dollars in one row, or as a credit
_LAST_SECOND = 16_725_225_600  # the year 2500
_MOST_BYTES = 1 << 29
_STEP = Decimal("1e-18")  # dollars; finer digits than these are a float's shadow


@dataclass(frozen=True, slots=True)
class Billed:
    """One row of a provider's books. at: UTC, when it began. item: as they call it. name: of our attempt, or empty."""

    at: datetime
    item: str
    dollars: Decimal
    name: str = ""

    @property
    def day(self) -> date:
        return self.at.date()


@dataclass(frozen=True)
class ProviderBooks:
    """All rows of a file; `first` and `last`: the time that they cover, the end excluded. left_out: how many rows are
    not compared, by their kind. partial: the file itself says that there is more. providers: whose charges these are, in
    the file's words; empty where a row does not say."""

    rows: tuple[Billed, ...]
    first: datetime
    last: datetime
    left_out: Mapping[str, int] = field(default_factory=dict)
    partial: bool = False
    providers: frozenset[str] = frozenset()

    @property
    def by_attempt(self) -> bool:
        return any(row.name for row in self.rows)


def read_books(file: Path) -> ProviderBooks:
    """A provider's file, whichever kind it is. Raises UserError for one that is neither."""
    refuse_pipe(file)
    try:
        data = file.read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise OSError(f"it has more than {_MOST_BYTES >> 20} MiB")
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or error}",
            "name OpenAI's costs as JSON or a FOCUS CSV, gzipped or not",
        ) from None
    return _openai(text, file) if text.lstrip()[:1] in ("{", "[") else _focus(text, file)


# ---- OpenAI


def _openai(text: str, file: Path) -> ProviderBooks:
    rows: list[Billed] = []
    times: list[datetime] = []
    try:
        pages = list(_pages(text))
        for bucket in (bucket for page in pages for bucket in page["data"]):
            start = _moment(bucket["start_time"])
            times += [start, _moment(bucket["end_time"])]
            for result in bucket["results"]:
                amount = result.get("amount") or {}
                _dollars_only(amount.get("currency") or "usd", file)
                rows.append(
                    Billed(start, result.get("line_item") or "", _decimal(amount.get("value") or 0))
                )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise UserError(
            f"{file} is not what GET /v1/organization/costs answers: {_words(error)}",
            "save that reply as it comes, with group_by=line_item; several pages make a list",
        ) from None
    if not times:
        raise UserError(f"{file} holds no buckets", "ask for the days on which the recipe ran")
    return ProviderBooks(
        tuple(rows),
        min(times),
        max(times),
        partial=bool(pages[-1].get("has_more")),
        providers=frozenset({"openai"}),
    )


def _words(error: Exception) -> str:
    return (
        f"{error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
    )


def _pages(text: str) -> Iterator[Mapping[str, Any]]:
    place, end = 0, len(text.rstrip())
    while place < end:
        found, place = exact_json_at(text, place)
        yield from found if isinstance(found, list) else [found]


# ---- FOCUS


def _focus(text: str, file: Path) -> ProviderBooks:
    reader = _rows(text, file)
    missing = {"BilledCost", "ChargePeriodStart"} - set(next(reader))
    if missing:
        raise UserError(
            f"{file} is neither OpenAI's costs nor a FOCUS CSV: no column {', '.join(sorted(missing))}",
            "export the provider's books as FOCUS 1.0 or later, or as OpenAI's costs JSON",
        )
    rows: list[Billed] = []
    times: list[datetime] = []
    left_out: Counter[str] = Counter()
    providers: set[str] = set()
    for number, row in enumerate(reader, start=2):
        try:
            start = _time(row["ChargePeriodStart"])
            end = _time(row["ChargePeriodEnd"]) if row.get("ChargePeriodEnd") else start
            times += [start, max(end, start + timedelta(seconds=1))]
            if row.get("ChargeCategory") in _NO_USAGE:
                left_out[f"{row['ChargeCategory'].lower()} rows"] += 1
                continue
            _dollars_only(row.get("BillingCurrency") or "USD", file)
            rows.append(Billed(start, _item(row), _decimal(row["BilledCost"]), _name(row)))
            providers.add(
                row.get("ProviderName") or row.get("ServiceProviderName") or ""
            )  # the latter since FOCUS 1.3
        except (ValueError, TypeError, ArithmeticError) as error:
            raise UserError(
                f"{file}:{number}: this row cannot be read ({error})", "export the file again"
            ) from None
    if not times:
        times = [datetime.now(UTC)]
    return ProviderBooks(
        tuple(rows),
        min(times),
        max(times),
        dict(left_out),
        providers=frozenset() if "" in providers else frozenset(providers),
    )


def _rows(text: str, file: Path) -> Iterator[dict[str, str]]:
    """The head, then row by row. UserError where a row is none."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        yield dict.fromkeys(reader.fieldnames or (), "")
        yield from reader
    except csv.Error as error:
        raise UserError(
            f"{file}: after line {reader.line_num} this is not CSV ({error})",
            "export the file again",
        ) from None


def _name(row: Mapping[str, str]) -> str:
    for column in _NAMED_BY:
        if _NAME.fullmatch(row.get(column) or ""):
            return row[column]
    tags = row.get("Tags") or ""
    if "r" in tags and _NAME.search(tags):
        for value in _texts(exact_json(tags)):
            if _NAME.fullmatch(value):
                return value
    return ""


def _texts(tags: Any) -> Iterable[str]:
    return (
        [value for value in tags.values() if isinstance(value, str)]
        if isinstance(tags, dict)
        else []
    )


def _item(row: Mapping[str, str]) -> str:
    """What was charged for, in all the words of the row, each once."""
    return ", ".join(dict.fromkeys(text for column in _ITEM_OF if (text := row.get(column))))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _moment(seconds: Any) -> datetime:
    """Of seconds since 1970, up to the year 2500."""
    if isinstance(seconds, str):
        seconds = exact_number(seconds, most=_LAST_SECOND)
    return datetime.fromtimestamp(whole_number(seconds, most=_LAST_SECOND), UTC)


def _dollars_only(currency: str, file: Path) -> None:
    if currency.upper() != "USD":
        raise UserError(
            f"{file} holds amounts in {currency}", "the ledger keeps dollars: ask for a bill in USD"
        )


def _decimal(value: Any) -> Decimal:
    try:
        amount = exact_number(value, least=-MOST_BILLED, most=MOST_BILLED)
    except BadNumber as bad:
        raise ValueError(f"the amount {bad} is not a number of dollars") from None
    return amount.quantize(_STEP, ROUND_HALF_EVEN) if amount else Decimal(0)


def rounded(dollars: Decimal) -> int:
    """Nano-dollars of what somebody else summed, half to even."""
    return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))
