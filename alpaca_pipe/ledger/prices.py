"""What a token costs, on which day, and who says so. Rows are dated and appended, never edited; unknown is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.errors import UserError, did_you_mean
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.core.table import Exact, Table
from alpaca_pipe.ledger.money import cost_of_tokens, whole_per_token

TokenClass = Literal["uncached_in", "cache_read", "cache_write", "visible_out", "reasoning_out"]
CLASSES: tuple[TokenClass, ...] = get_args(TokenClass)  # the fields of core's Usage


class PriceTable(Table):
    """$ per million tokens: `{in: 0.15, out: 0.60}`, or `free` for a teacher of our own.

    A class that is not given costs what its side costs: cache_read and cache_write as `in`, reasoning as `out`.
    """

    in_: Exact = Field(alias="in", ge=0)
    out: Exact = Field(ge=0)
    cache_read: Exact | None = Field(None, ge=0)
    cache_write: Exact | None = Field(None, ge=0)
    reasoning: Exact | None = Field(None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _free(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "free":
            raise ValueError(f"'{value}' is neither `free` nor a table like {{in: 0.15, out: 0.60}} ($ per million)")
        return {"in": 0, "out": 0} if value == "free" else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"const": "free"}, handler(core_schema)]}

    def per_million(self) -> dict[TokenClass, Decimal]:
        """$ per million tokens of each class."""
        def either(own: Decimal | None, side: Decimal) -> Decimal:
            return side if own is None else own

        return {"uncached_in": self.in_, "cache_read": either(self.cache_read, self.in_),
                "cache_write": either(self.cache_write, self.in_), "visible_out": self.out,
                "reasoning_out": either(self.reasoning, self.out)}


@dataclass(frozen=True)
class Price:
    """What one model costs, class by class: $ per million tokens, valid from `start` to `end` (both included)."""

    model: str
    per_million: Mapping[TokenClass, Decimal]
    source: str
    start: date | None = None
    end: date | None = None
    checked: date | None = None

    @property
    def id(self) -> str:
        """`p1-` + 16 hex over everything that was said: an entry that names it is never re-priced."""
        return f"p1-{digest_of(self.to_row())[:16]}"

    @property
    def free(self) -> bool:
        return not any(self.per_million.values())

    def cost(self, usage: Usage) -> int:
        """Nano-dollars; each class is rounded once, half to even."""
        return sum(cost_of_tokens(getattr(usage, name), self.per_million[name]) for name in CLASSES)

    def worst(self, tokens_in: int, tokens_out: int) -> int:
        """Nano-dollars that so many tokens cannot exceed, whichever class they are billed as."""
        return (tokens_in * max(whole_per_token(self.per_million[name]) for name in CLASSES[:3])
                + tokens_out * max(whole_per_token(self.per_million[name]) for name in CLASSES[3:]))

    def to_row(self) -> dict[str, Any]:
        """As plain JSON: exact decimals and days as text."""
        row = {name: str(value) if isinstance(value, date) else value for name, value in asdict(self).items()}
        return row | {"per_million": {name: f"{price.normalize():f}" for name, price in self.per_million.items()}}


class _BookRow(Table):
    """One item of prices/*.yaml: the same figures for a model and its dated names."""

    models: list[str]
    price: PriceTable
    from_: date = Field(alias="from")
    to: date | None = None
    source: str
    checked: date


@cache
def book() -> tuple[Price, ...]:
    """Every dated price that ships with the package, oldest first."""
    from ruamel.yaml import YAML

    prices = []
    for file in sorted(files("alpaca_pipe.ledger").joinpath("prices").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            for item in YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")):
                row = _BookRow.model_validate(item)
                prices += [Price(model, row.price.per_million(), row.source, row.from_, row.to, row.checked)
                           for model in row.models]
    return tuple(sorted(prices, key=lambda price: (price.start or date.min, price.model)))


def price_of(model: str, day: date, own: PriceTable | None = None) -> Price:
    """The price of a model on a day: the recipe's own, or the book's. UserError where nobody says what it costs."""
    if own is not None:
        return Price(model, own.per_million(), "teacher.price of the recipe")
    pin = "pin what it costs in the recipe, in $ per million tokens: teacher.price: {in: 0.15, out: 0.60} " \
          "(or `free` for a server of your own)"
    dated = [price for price in book() if price.model == model]
    if not dated:
        near = did_you_mean(model, {price.model for price in book()})
        hint = f"; {near}" if near.startswith("did you") else ""
        raise UserError(f"no price is known for the model '{model}'{hint}", pin)
    for price in reversed(dated):
        if price.start and price.start <= day and (price.end is None or day <= price.end):
            return price
    raise UserError(f"the price book has no price for the model '{model}' on {day}", pin)
