"""What a token costs: where, online or in a batch, on which day, and who says so. Rows are dated and appended, never
edited; a batch's price and a cached token's are figures of their own, never a factor; unknown is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Literal, get_args

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.config_table import Exact, Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.ledger.money import cost_of_tokens, whole_per_token
from alpaca_pipe.ledger.pricing.price_tables import sheets
from alpaca_pipe.ledger.pricing.user_prices import Day, OwnRow, own_rows, packed_rows, read_row

TokenClass = Literal["uncached_in", "cache_read", "cache_write", "visible_out", "reasoning_out"]
CLASSES: tuple[TokenClass, ...] = get_args(TokenClass)  # the fields of core's Usage
Mode = Literal["online", "batch"]
_PINNED = "pinned at "  # and where: a row of the user's file without a source
_OF_THE_RECIPE = "teacher.price of the recipe"
OLD = 90  # days after which a price that nobody has looked at is doubted


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
            raise ValueError(
                f"'{value}' is neither `free` nor a table like {{in: 0.15, out: 0.60}} ($ per million)"
            )
        return {"in": 0, "out": 0} if value == "free" else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"const": "free"}, handler(core_schema)]}

    def per_million(self) -> dict[TokenClass, Decimal]:
        """$ per million tokens of each class."""
        return _each_class(self.in_, self.out, self.cache_read, self.cache_write, self.reasoning)


@dataclass(frozen=True)
class Price:
    """What one model costs at one provider, class by class: $ per million tokens, valid from `start` to `end` (both
    included), for requests of at most `most_in` tokens."""

    model: str
    per_million: Mapping[TokenClass, Decimal]
    source: str
    start: date | None = None
    end: date | None = None
    checked: date | None = None
    provider: str = ""  # a name of the book, or the host of an endpoint that the book does not know
    mode: Mode = "online"
    most_in: int | None = None

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
        """Nano-dollars that so many tokens cannot exceed, whichever class they are billed as. UserError beyond the
        length of request for which this price holds: what a longer one costs, nobody said."""
        if self.most_in is not None and tokens_in > self.most_in:
            raise UserError(
                f"a request to '{self.model}' may have {tokens_in:,} tokens, and its price holds up to "
                f"{self.most_in:,}; a longer one costs more",
                "send less in one request, or pin the higher price in the recipe: teacher.price",
            )
        return tokens_in * max(
            whole_per_token(self.per_million[name]) for name in CLASSES[:3]
        ) + tokens_out * max(whole_per_token(self.per_million[name]) for name in CLASSES[3:])

    def holds(self, day: date) -> bool:
        return (self.start or date.min) <= day <= (self.end or date.max)

    def doubt(self, day: date) -> str:
        """Why this figure may be wrong on a day: nobody says whose it is, or when it was last looked at; "" where it is
        fresh, free, or the recipe's own."""
        who = f"the price of '{self.model}'" + (f" at {self.provider}" if self.provider else "")
        if self.source.startswith(_PINNED) and not self.free:
            return f"{who} has no source ({self.source}): write where it comes from (source: ...)"
        if self.checked is None and not self.free and self.source != _OF_THE_RECIPE:
            return f"no date says when {who} was last checked ({self.source}): pin it with its day (from: ...)"
        age = (day - self.checked).days if self.checked and not self.free else 0
        if age <= OLD:
            return ""
        return (
            f"{who} was last checked {age} days ago ({self.checked}), and prices move within months: "
            f"look at {self.source.split()[0]}, then pin what you pay (alpaca-pipe ledger pin-price)"
        )

    def said(self, day: date) -> str:
        """The figures, whose they are and how old, in a line."""
        if self.free:
            return f"{self.model}: free ({self.source})"
        age = f", checked {(day - self.checked).days} days ago" if self.checked else ""
        where = f" at {self.provider}" if self.provider else ""
        each = self.per_million
        return (
            f"{self.model}{where}{' in batches' if self.mode == 'batch' else ''} ${each['uncached_in']:f} in, "
            f"${each['visible_out']:f} out a million tokens ({self.source.split(' by way of ')[0]}{age})"
        )

    def to_row(self) -> dict[str, Any]:
        """As plain JSON: exact decimals and days as text."""
        row = {
            name: str(value) if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }
        return row | {
            "per_million": {
                name: f"{price.normalize():f}" for name, price in self.per_million.items()
            }
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Price:
        """As `to_row` wrote it, in a ledger of whatever age."""
        days = {
            name: date.fromisoformat(row[name])
            for name in ("start", "end", "checked")
            if row.get(name)
        }
        each = {name: Decimal(price) for name, price in row["per_million"].items()}
        return cls(**{**row, **days, "per_million": each})


class OwnPriceRow(PriceTable):
    """A price in the user's own file: the figures, of what, where, and on which days."""

    model: str = Field(min_length=1)
    provider: str = ""
    host: str = ""
    mode: Mode = "online"
    most_in: int | None = Field(None, ge=1)
    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    source: str = ""
    checked: Day | None = None
    ends: Day | None = None
    replacement: str = ""

    @model_validator(mode="after")
    def _said_where(self) -> OwnPriceRow:
        if bool(self.provider) == bool(self.host):
            raise ValueError(
                "say whose price it is: either host (api.example.com) or provider (openai)"
            )
        if self.from_ and self.to and self.to < self.from_:
            raise ValueError(f"it ends on {self.to}, before it begins on {self.from_}")
        return self


@cache
def book() -> tuple[Price, ...]:
    """Every dated price that ships with the package, oldest first."""
    prices = []
    for sheet in sheets("tokens"):
        for row in sheet.rows:
            optional = (
                Decimal(row[name]) if name in row else None
                for name in ("cache_read", "cache_write", "reasoning")
            )
            each = _each_class(Decimal(row["in"]), Decimal(row["out"]), *optional)
            mode: Mode = "batch" if row["mode"] == "batch" else "online"
            prices += [
                Price(
                    model,
                    each,
                    row["source"],
                    date.fromisoformat(row["from"]),
                    date.fromisoformat(row["to"]) if "to" in row else None,
                    date.fromisoformat(row["checked"]),
                    sheet.head["provider"],
                    mode,
                    int(row["most_in"]) if "most_in" in row else None,
                )
                for model in row["models"].split()
            ]
    return tuple(
        sorted(prices, key=lambda price: (price.start or date.min, price.provider, price.model))
    )


@cache
def hosts() -> dict[str, str]:
    """Whose prices hold at an endpoint's host: api.openai.com -> openai."""
    return {
        host: sheet.head["provider"] for sheet in sheets("tokens") for host in sheet.head["hosts"]
    }


def own_prices() -> tuple[Price, ...]:
    """The prices of the user's own file, in its order. They win over the book's."""
    return tuple(map(price_in, own_rows("price")))


def price_in(own: OwnRow) -> Price:
    """A row of a price file. UserError with its place."""
    row = read_row(OwnPriceRow, own)
    return Price(
        row.model,
        row.per_million(),
        row.source or f"{_PINNED}{own.place}",
        row.from_,
        row.to,
        row.checked or row.from_,
        row.provider or provider_at(row.host),
        row.mode,
        row.most_in,
    )


def provider_at(host: str) -> str:
    """Whose prices hold at a host; a host that the book does not know is its own provider."""
    return hosts().get(host, host)


def host_of(provider: str) -> str:
    """Where a provider is asked; one that the book does not know is its own host."""
    return next((host for host, name in hosts().items() if name == provider), provider)


def prices_on(day: date, packed: bool = True) -> tuple[Price, ...]:
    """Every price that holds on a day, one for each provider, model and mode: the user's own before those that came in the
    recipe's pack, and these before the book's. packed: whether the pack's count."""
    held = {
        (price.provider, price.model, price.mode): price
        for price in _in_order(packed)
        if price.holds(day)
    }
    return tuple(sorted(held.values(), key=lambda price: (price.provider, price.model, price.mode)))


def price_of(
    model: str,
    day: date,
    own: PriceTable | None = None,
    *,
    host: str | None = None,
    mode: Mode = "online",
) -> Price:
    """The price of a model on a day at an endpoint's host: the recipe's own, the user's file's, or the book's. UserError
    where nobody says what it costs.

    Without a host it is a price on paper, for a rehearsal or an estimate: OpenAI's, or any provider's.
    """
    provider = "" if host is None else provider_at(host)
    if own is not None:
        return Price(model, own.per_million(), _OF_THE_RECIPE, provider=provider, mode=mode)
    named = [price for price in _in_order() if price.model == model]
    here = [price for price in named if host is None or price.provider == provider]
    held = [price for price in here if price.mode == mode and price.holds(day)]
    if held:
        return max(enumerate(held), key=lambda pair: (pair[1].provider == "openai", pair[0]))[1]
    raise UserError(_why_none(model, day, host, mode, named, here), _how_to_pin(model, host, mode))


def _in_order(packed: bool = True) -> tuple[Price, ...]:
    """The book, oldest first, then what came in the recipe's pack, then the user's own, each in the order of their days: the
    last one that fits is the price."""
    came = map(price_in, packed_rows("price")) if packed else ()
    return (
        *book(),
        *sorted(came, key=lambda price: price.start or date.min),
        *sorted(own_prices(), key=lambda price: price.start or date.min),
    )


def _why_none(
    model: str, day: date, host: str | None, mode: Mode, named: list[Price], here: list[Price]
) -> str:
    at = f" at {host or 'an endpoint without a host'}" if host is not None else ""
    if any(price.mode == mode for price in here):
        return f"the price book has no price for the model '{model}' on {day}{at}"
    if here:
        other = "the online price is known" if mode == "batch" else "the price in a batch is known"
        return f"no {mode} price is known for the model '{model}'{at}; {other}, and neither follows from the other"
    if named:
        others = sorted({host_of(price.provider) for price in named})
        return (
            f"no price is known for the model '{model}'{at}; it is known at {', '.join(others)}, "
            "and another host may ask another price"
        )
    known = {
        price.model for price in _in_order() if host is None or price.provider == provider_at(host)
    }
    near = did_you_mean(model, known or {price.model for price in book()})
    return f"no price is known for the model '{model}'{at}" + (
        f"; {near}" if near.startswith("did you") else ""
    )


def _how_to_pin(model: str, host: str | None, mode: Mode) -> str:
    where = f" --host {host}" if host else ""
    how = " --mode batch" if mode == "batch" else ""
    return (
        "pin what it costs in the recipe, in $ per million tokens: teacher.price: {in: 0.15, out: 0.60} "
        "(or `free` for a server of your own), or once for every recipe: "
        f"alpaca-pipe ledger pin-price {model} --in 0.15 --out 0.60{where}{how}"
    )


def _each_class(
    in_: Decimal,
    out: Decimal,
    cache_read: Decimal | None,
    cache_write: Decimal | None,
    reasoning: Decimal | None,
) -> dict[TokenClass, Decimal]:
    return {
        "uncached_in": in_,
        "cache_read": in_ if cache_read is None else cache_read,
        "cache_write": in_ if cache_write is None else cache_write,
        "visible_out": out,
        "reasoning_out": out if reasoning is None else reasoning,
    }
