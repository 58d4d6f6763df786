"""The journal for others: every entry as JSON, every charge as FOCUS 1.2, held against the specification's own tables."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.statements.exports import export_focus, export_jsonl
from alpaca_pipe.ledger.statements.focus import COLUMNS
from alpaca_pipe.ledger.store.journal import enter
from tests.ledger.conftest import Book
from tests.ledger.rows import COST, MINI, USED, Rows, machine_time

# specification/columns/*.md of FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec at v1.2: feature level, nulls, data type.
SPECIFIED = {
    name: tuple(rest)
    for name, *rest in (
        line.split()
        for line in """
BilledCost M no decimal
BillingAccountId M no string
BillingAccountName M yes string
BillingAccountType C no string
BillingCurrency M no string
BillingPeriodEnd M no time
BillingPeriodStart M no time
ChargeCategory M no string
ChargeClass M yes string
ChargeDescription M yes string
ChargeFrequency R no string
ChargePeriodEnd M no time
ChargePeriodStart M no time
ConsumedQuantity C yes decimal
ConsumedUnit C yes string
ContractedCost M no decimal
EffectiveCost M no decimal
InvoiceIssuerName M no string
ListCost M no decimal
PricingCategory C yes string
PricingQuantity M yes decimal
PricingUnit M yes string
ProviderName M no string
PublisherName M no string
RegionId C yes string
ResourceId C yes string
ResourceName C yes string
ResourceType C yes string
ServiceCategory M no string
ServiceName M no string
ServiceSubcategory R no string
SkuId C yes string
SkuMeter C yes string
SkuPriceDetails C yes json
SkuPriceId C yes string
SubAccountId C yes string
SubAccountName C yes string
SubAccountType C yes string
Tags C yes json
AvailabilityZone R yes string
CapacityReservationId C yes string
CapacityReservationStatus C yes string
CommitmentDiscountCategory C yes string
CommitmentDiscountId C yes string
CommitmentDiscountName C yes string
CommitmentDiscountQuantity C yes decimal
CommitmentDiscountStatus C yes string
CommitmentDiscountType C yes string
CommitmentDiscountUnit C yes string
ContractedUnitPrice C yes decimal
InvoiceId R yes string
ListUnitPrice C yes decimal
PricingCurrency C yes string
PricingCurrencyContractedUnitPrice C yes decimal
PricingCurrencyEffectiveCost C yes decimal
PricingCurrencyListUnitPrice C yes decimal
RegionName C yes string
""".splitlines()
        if line
    )
}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning", "Compute", "Networking", "Storage", "Other"},
    "ServiceSubcategory": {
        "Generative AI",
        "Virtual Machines",
        "Other (Compute)",
        "Other (Networking)",
        "Other (Storage)",
        "Other (Other)",
    },
}
NUMBER = re.compile(
    r"-?\d+(\.\d+)?(E-?\d+)?"
)  # attributes/numeric_format.md: no plus sign, no comma
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # attributes/datetime_format.md


def faults(header: list[str], rows: list[dict[str, str]]) -> list[str]:
    """What the specification would object to."""
    found = [
        f"{name} is mandatory"
        for name, (level, *_) in SPECIFIED.items()
        if level == "M" and name not in header
    ]
    found += [
        f"{name} is neither known nor x_"
        for name in header
        if name not in SPECIFIED and not name.startswith("x_")
    ]
    places = [name.startswith("x_") for name in header]
    found += ["a custom column stands among the others"] if places != sorted(places) else []
    for number, row in enumerate(rows):
        found += [
            f"{number}: {fault}"
            for name in header
            if name in SPECIFIED
            for fault in cell_faults(name, row[name])
        ]
        found += [f"{number}: {fault}" for fault in row_faults(row)]
    return found


def cell_faults(name: str, value: str) -> list[str]:
    _, nulls, kind = SPECIFIED[name]
    if not value:
        return [] if nulls == "yes" else [f"{name} is null"]
    checks: dict[str, Callable[[], object]] = {
        "decimal": lambda: NUMBER.fullmatch(value),
        "time": lambda: TIME.fullmatch(value),
        "string": lambda: value.strip(),
        "json": lambda: all(
            not isinstance(item, dict | list) for item in json.loads(value).values()
        ),
    }
    wrong = [f"{name}: {value!r} is no {kind}"] if not checks[kind]() else []
    return wrong + (
        [f"{name}: {value!r} is not allowed"]
        if name in ALLOWED and value not in ALLOWED[name]
        else []
    )


def row_faults(row: dict[str, str]) -> list[str]:
    """Rules between columns, for charges of the category Usage that are no corrections."""
    rules = {
        "the currency is ISO 4217": re.fullmatch("[A-Z]{3}", row["BillingCurrency"]),
        "the charge period ends after its start": row["ChargePeriodStart"] < row["ChargePeriodEnd"],
        "the billing period ends after its start": row["BillingPeriodStart"]
        < row["BillingPeriodEnd"],
        "a quantity has a unit": bool(row["PricingQuantity"]) == bool(row["PricingUnit"]),
        "what is consumed has a unit": bool(row["ConsumedQuantity"]) == bool(row["ConsumedUnit"]),
        "a resource has a type": bool(row["ResourceId"]) == bool(row["ResourceType"]),
        "usage has a quantity, a category, a SKU and a SKU price": row["ChargeClass"]
        or all(
            row[name]
            for name in (
                "PricingQuantity",
                "ConsumedQuantity",
                "PricingCategory",
                "SkuId",
                "SkuPriceId",
            )
        ),
        "an account has a type": bool(row["BillingAccountId"]) == bool(row["BillingAccountType"]),
    }
    return [rule for rule, kept in rules.items() if not kept]


@dataclass
class Written:
    header: list[str]
    rows: list[dict[str, str]]

    def of(self, state: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["x_State"] == state]


def focus(path: Path, recipe: str | None = None) -> Written:
    file = path.parent / "focus.csv"
    count = export_focus(path, file, recipe)
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert count == len(rows)
    return Written(list(reader.fieldnames or ()), rows)


def filled(book: Book) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", "2026-10-31 23:59:59", began="2026-10-31 23:59:50")
    rows.lost("r1-b", "2026-10-20 12:00:00")
    rows.released("r1-c", "2026-10-20 12:00:00")
    rows.opened("r1-d", "2026-10-20 12:00:00")
    rows.lost("r1-e", "2026-10-20 12:00:00")
    found = Attempt("m1", "alpaca", "monday", "generate", "r1-e", 1, rows.ceiling, MINI.id)
    book.journal.write(lambda db: enter(db, found, "reconciled", 77)).result()
    paid = Attempt("m1", "alpaca", "monday", "generate", "r1-a", 1, rows.ceiling, MINI.id)
    book.journal.write(lambda db: enter(db, paid, "correction", -4)).result()
    machine_time(book.journal, "alpaca", "monday", "train", 90.5, nanodollars_per_hour=40_000_000)
    for class_ in ("gpu", "energy", "storage", "egress", "human"):
        span = Attempt("m1", "alpaca", "monday", "train", f"{class_}-1", 1, 0, "")
        book.journal.write(
            lambda db, span=span, class_=class_: enter(db, span, "settled", 5, class_=class_)
        ).result()
    book.settle(Book(book.journal, recipe="other").opened("r1-f"), cost=3)


def test_the_file_is_as_the_specification_wants_it(book: Book, path: Path) -> None:
    filled(book)
    written = focus(path)
    assert written.header == list(COLUMNS)
    assert faults(written.header, written.rows) == []


def test_the_check_itself_finds_what_is_wrong(book: Book, path: Path) -> None:
    filled(book)
    written = focus(path)
    for name, value, fault in [
        ("BilledCost", "1,000", "is no decimal"),
        ("BilledCost", "", "is null"),
        ("ChargePeriodStart", "2026-10-20T12:00:00+00:00", "is no time"),
        ("ChargeCategory", "Fee", "is not allowed"),
        ("PricingUnit", "", "has a unit"),
        ("Tags", '{"a": {}}', "is no json"),
        ("SkuId", "", "a SKU"),
    ]:
        assert any(
            fault in found for found in faults(written.header, [written.rows[0] | {name: value}])
        )
    assert faults(written.header[1:], []) == ["BilledCost is mandatory"]
    assert "custom" in faults(["x_State", *(name for name in COLUMNS if name != "x_State")], [])[0]


def test_the_costs_are_the_ledger_to_the_nanodollar(book: Book, path: Path) -> None:
    filled(book)
    total, written = book.journal.totals(), focus(path)

    def nano(rows: list[dict[str, str]]) -> int:
        return int(sum(Decimal(row["BilledCost"]) for row in rows) * 10**9)

    assert nano(written.rows) == total.settled + total.lost
    assert nano(written.of("lost")) == total.lost == 1_000_000
    assert nano(written.of("reconciled")) == 77  # and the row that it reconciles is not told twice
    assert len(written.of("lost")) == 1
    assert nano(focus(path, "other").rows) == 3


def test_a_charge_names_its_attempt_its_time_and_its_tokens(book: Book, path: Path) -> None:
    filled(book)
    row = focus(path).of("settled")[0]
    assert row["x_ClientRequestId"] == "r1-a.1.m1"
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (
        "2026-10-31T23:59:50Z",
        "2026-11-01T00:00:00Z",
    )
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (
        "2026-10-01T00:00:00Z",
        "2026-11-01T00:00:00Z",
    )
    assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == ("200", "Tokens")
    assert (row["x_TokensUncachedIn"], row["x_TokensReasoningOut"]) == ("100", "10")
    assert row["BilledCost"] == f"{Decimal(COST).scaleb(-9):.9f}"
    assert (row["ProviderName"], row["SkuId"], row["SkuPriceId"]) == (
        "openai",
        "gpt-4o-mini",
        MINI.id,
    )
    assert json.loads(row["SkuPriceDetails"])["x_PerMillionVisibleOut"] == "0.6"
    machine = next(row for row in focus(path).rows if row["ServiceName"] == "Machine time")
    assert (machine["ConsumedQuantity"], machine["ConsumedUnit"], machine["x_ClientRequestId"]) == (
        "90.5",
        "Seconds",
        "",
    )


def test_a_correction_of_an_earlier_month_says_so(book: Book, path: Path) -> None:
    months = [datetime.now(UTC)]
    filled(book)
    correction = focus(path).of("correction")[0]
    months.append(datetime.now(UTC))  # the month may end meanwhile
    assert correction["ChargeClass"] == "Correction"  # October, and today is later
    assert correction["ChargePeriodEnd"] == "2026-11-01T00:00:00Z"
    assert correction["BillingPeriodStart"] in {f"{month:%Y-%m}-01T00:00:00Z" for month in months}
    assert correction["BilledCost"] == "-0.000000004"
    now = Rows(book.journal)
    now.settled("r1-now", datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    paid = Attempt("m1", "alpaca", "monday", "generate", "r1-now", 1, now.ceiling, MINI.id)
    book.journal.write(lambda db: enter(db, paid, "correction", 4)).result()
    assert focus(path).of("correction")[1]["ChargeClass"] == ""  # of this month


def test_every_entry_is_a_line(book: Book, path: Path) -> None:
    filled(book)
    file = path.parent / "entries.jsonl.gz"
    count = export_jsonl(path, file)
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    assert count == len(rows) == len(list(book.journal.entries()))
    assert (
        rows[1]["kind"] == "settled"
        and rows[1]["class"] == "api"
        and rows[1]["nanodollars"] == COST
    )
    assert (
        rows[1]["usage"]["reasoning_out"] == USED.reasoning_out
        and rows[1]["dollars"] == "0.000054000"
    )
    assert {row["recipe"] for row in rows} == {"alpaca", "other"}
    assert export_jsonl(path, file, "other") == 2


def test_a_file_is_whole_or_not_there(book: Book, path: Path) -> None:
    Rows(book.journal).settled("r1-a", "2026-10-20 12:00:00", usage=Usage(1))
    (path.parent / "in_the_way").write_text("")
    with pytest.raises(UserError, match="cannot be written: .* - name a file"):
        export_focus(path, path.parent / "in_the_way" / "focus.csv")
    assert not list(path.parent.glob(".*csv*"))
