"""A charge of ours as a row of FOCUS 1.2, the FinOps Open Cost and Usage Specification (focus.finops.org, June 2025).

One row for each attempt that cost something or may have: a reply, a stretch of machine time, a correction. A lost one
stands at its ceiling, as in our budgets, with x_State "lost". Unit prices are left out (their columns are conditional):
a reply has a price for each class of its tokens, which SkuPriceDetails spells out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.ledger.pricing.token_prices import CLASSES

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_State",
    "x_Recipe",
    "x_Run",
    "x_Stage",
    "x_Request",
    "x_Attempt",
    "x_Machine",
    "x_ClientRequestId",
    *(f"x_Tokens{name.title().replace('_', '')}" for name in CLASSES),
    "x_Note",
    "x_Simulated",
)

_BEGINS_A_FORMULA, _A_NUMBER = "=+-@\t\r\n", re.compile(r"-?\d+(\.\d+)?")
_SERVICES = {  # class of ours: category and subcategory of the specification, name, meter
    "api": ("AI and Machine Learning", "Generative AI", "Language model API", "Requests"),
    "machine": ("Compute", "Other (Compute)", "Machine time", "Seconds"),
    "gpu": ("Compute", "Virtual Machines", "GPU time", "Seconds"),
    "energy": ("Other", "Other (Other)", "Energy", "Units"),
    "storage": ("Storage", "Other (Storage)", "Storage", "Units"),
    "egress": ("Networking", "Other (Networking)", "Data transfer", "Units"),
    "human": ("Other", "Other (Other)", "Human work", "Units"),
}
_ACCOUNT = (
    "alpaca-pipe"  # the books are ours: the provider's own account number is not known to them
)
_OURSELVES = "this machine"


@dataclass(frozen=True)
class Charge:
    """What a row is made from. began, ended: of the attempt. price: as it was stored, {} where there is none. teacher:
    who answers at this price."""

    entry: LedgerEntry
    began: str
    ended: str
    price: Mapping[str, Any]
    teacher: Mapping[str, Any]


def focus_row(charge: Charge) -> dict[str, str]:
    """The values of COLUMNS; an empty text is a null."""
    entry, cost = charge.entry, exactly(charge.entry.nanodollars)
    category, subcategory, service, meter = _SERVICES[entry.class_]
    began, ended = _period(charge)
    month, after = _month(
        _time(entry.at) if entry.kind == "correction" else ended - timedelta(seconds=1)
    )
    amended = (
        entry.kind == "correction" and month >= ended
    )  # within its month it is none, says the specification
    provider = provider_of(charge)
    api = entry.class_ == "api"
    sku = str(charge.price.get("model") or charge.price.get("gpu") or entry.class_)
    seconds = entry.usage.get("seconds")
    tokens = sum(entry.usage.get(name, 0) for name in CLASSES)
    priced = str(seconds) if meter == "Seconds" and seconds is not None else "1"
    consumed = str(tokens) if api and entry.kind == "settled" else priced
    row = {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ContractedCost": cost,
        "BillingCurrency": "USD",
        "BillingAccountId": _ACCOUNT,
        "BillingAccountType": "Ledger",
        "BillingPeriodStart": _utc(month),
        "BillingPeriodEnd": _utc(after),
        "ChargePeriodStart": _utc(began),
        "ChargePeriodEnd": _utc(ended),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if amended else "",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{service}: {sku}, {entry.stage} of {entry.recipe}, {entry.kind}",
        "ConsumedQuantity": consumed,
        "ConsumedUnit": "Tokens" if api and entry.kind == "settled" else _unit(meter, seconds),
        "PricingCategory": "Standard",
        "PricingQuantity": priced,
        "PricingUnit": _unit(meter, seconds),
        "ProviderName": provider,
        "PublisherName": provider,
        "InvoiceIssuerName": provider,
        "ServiceCategory": category,
        "ServiceName": service,
        "ServiceSubcategory": subcategory,
        "SkuId": sku,
        "SkuMeter": service,
        "SkuPriceId": entry.price or f"{sku} without a price",
        "SkuPriceDetails": _details(charge.price),
        "SubAccountId": entry.recipe,
        "SubAccountName": entry.recipe,
        "SubAccountType": "Recipe",
        "Tags": _tags(entry.recipe, entry.run, entry.stage),
        "x_Simulated": "true" if "rehearsed" in charge.teacher else "",
    } | _own_columns(entry)
    if not api:
        row |= {"ResourceId": entry.machine, "ResourceType": "Machine"}
    return {column: _no_formula(row.get(column, "")) for column in COLUMNS}


def _own_columns(entry: LedgerEntry) -> dict[str, str]:
    """Those that the specification leaves to us; their names begin with x_."""
    api = entry.class_ == "api"
    row = {
        "x_State": entry.kind,
        "x_Recipe": entry.recipe,
        "x_Run": entry.run,
        "x_Stage": entry.stage,
        "x_Request": entry.request,
        "x_Attempt": str(entry.attempt),
        "x_Machine": entry.machine,
        "x_ClientRequestId": entry.name if api else "",
        "x_Note": entry.note,
    }
    if api and entry.kind == "settled":
        for name in CLASSES:
            row[f"x_Tokens{name.title().replace('_', '')}"] = str(entry.usage.get(name, 0))
    return row


def _no_formula(text: str) -> str:
    """A spreadsheet reckons with a text that begins like this, and it may be a model's name."""
    if text and text[0] in _BEGINS_A_FORMULA and not _A_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def provider_of(charge: Charge) -> str:
    """Who sent the bill, as far as our books know: whose price it is, the endpoint's host, or this machine."""
    said = charge.price.get("provider") or urlsplit(str(charge.teacher.get("url", ""))).hostname
    if (
        not said
        and charge.entry.class_ == "api"
        and not {"gguf", "rehearsed"} & set(charge.teacher)
    ):
        said = (
            charge.teacher.get("named")
            or f"the provider of {charge.price.get('model') or 'an unknown model'}"
        )
    return str(said or _OURSELVES)


def _period(charge: Charge) -> tuple[datetime, datetime]:
    """Whole seconds; the end is exclusive."""
    ended = _time(charge.ended)
    began = _time(charge.began)
    if charge.entry.class_ != "api" and charge.entry.usage.get("seconds"):
        began = min(began, ended - timedelta(seconds=float(charge.entry.usage["seconds"])))
    return began.replace(microsecond=0), ended.replace(microsecond=0) + timedelta(seconds=1)


def _month(moment: datetime) -> tuple[datetime, datetime]:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


def _details(price: Mapping[str, Any]) -> str:
    """Keys of our own begin with x_, and no value is a table: so the specification wants it."""
    prices = {
        f"x_PerMillion{name.title().replace('_', '')}": figure
        for name, figure in price.get("per_million", {}).items()
    }
    if price.get("per_hour") is not None:
        prices["x_PerHour"] = str(price["per_hour"])
    return canonical(prices) if prices else ""


@lru_cache(maxsize=1024)
def _tags(recipe: str, run: str, stage: str) -> str:
    return canonical({"recipe": recipe, "run": run, "stage": stage})


def _unit(meter: str, seconds: object) -> str:
    return "Units" if meter == "Seconds" and seconds is None else meter


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _utc(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')[:19]}Z"  # in UTC already


@lru_cache(maxsize=1024)  # few prices and teachers, many rows
def stored_json(text: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text) if text else {}
    return found
