"""The day from which a model answers no more, who says so, and what the provider names in its place.

In a price file's head, `ends:` holds `names: [day, source, replacement]`; in the user's own file a row has `ends` and
`replacement`. A provider that goes on answering under an ended name does so by another model, at another price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import cache

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.ledger.pricing.price_tables import sheets
from alpaca_pipe.ledger.pricing.token_prices import (
    Mode,
    OwnPriceRow,
    Price,
    host_of,
    price_of,
    provider_at,
)
from alpaca_pipe.ledger.pricing.user_prices import own_rows, read_row

WARNED = 60  # days before its end from which a model is said to end


@dataclass(frozen=True)
class Ending:
    """`day`: the first on which nothing is asked of it any more."""

    model: str
    provider: str
    day: date
    source: str
    replacement: str = ""

    def past(self, today: date) -> bool:
        return today >= self.day

    def near(self, today: date) -> bool:
        """Whether it has ended, or will soon."""
        return (self.day - today).days <= WARNED

    def sentence(self, today: date) -> str:
        left = (self.day - today).days
        where = f"the model '{self.model}' at {host_of(self.provider)}"
        when = f"ended on {self.day}" if left <= 0 else f"ends on {self.day}, in {_days(left)}"
        return f"{where} {when} ({self.source})"

    def cure(self, today: date, mode: Mode = "online") -> str:
        """What to take in its place, and what that costs."""
        if not self.replacement:
            return "name another one: `alpaca-pipe prices --teachers` lists them"
        return f"take teacher.model={self.replacement} in its place ({self._price(today, mode)})"

    def _price(self, today: date, mode: Mode) -> str:
        try:
            each = price_of(
                self.replacement, today, host=host_of(self.provider), mode=mode
            ).per_million
        except UserError:
            return "the price book has no price for it here"
        return f"${each['uncached_in']:f} in, ${each['visible_out']:f} out a million tokens"


def living(prices: Iterable[Price], today: date) -> Iterator[Price]:
    """Those whose model still answers, as far as the books know."""
    own = own_endings()
    for price in prices:
        host = host_of(price.provider) if price.provider else None
        ending = ending_of(price.model, host, own)
        if ending is None or not ending.past(today):
            yield price


class PastItsEnd(UserError):
    """The model answers no more."""

    def __init__(self, ending: Ending, today: date, mode: Mode = "online") -> None:
        super().__init__(ending.sentence(today), ending.cure(today, mode))
        self.ending = ending


def ending_of(
    model: str, host: str | None, own_rows: Sequence[Ending] | None = None
) -> Ending | None:
    """When a model ends at an endpoint's host, by the user's file before the book; None where nobody says, or on paper.
    own_rows: of the user's file, where it was read already."""
    if host is None:
        return None
    provider = provider_at(host)
    rows = own_endings() if own_rows is None else own_rows
    own = [row for row in rows if (row.model, row.provider) == (model, provider)]
    return own[-1] if own else endings().get((provider, model))


@cache
def endings() -> dict[tuple[str, str], Ending]:
    """By provider and model, those that the book knows."""
    found = {}
    for sheet in sheets("tokens"):
        provider = sheet.head["provider"]
        for names, (day, source, *replacement) in sheet.head.get("ends", {}).items():
            for model in names.split():
                found[provider, model] = Ending(
                    model,
                    provider,
                    date.fromisoformat(day),
                    sheet.head["sources"][source],
                    *replacement,
                )
    return found


def own_endings() -> list[Ending]:
    """Those that the user's own price file names, in its order."""
    rows = ((own.place, read_row(OwnPriceRow, own)) for own in own_rows("price"))
    return [
        Ending(
            row.model,
            row.provider or provider_at(row.host),
            row.ends,
            row.source or f"pinned at {place}",
            row.replacement,
        )
        for place, row in rows
        if row.ends is not None
    ]


def _days(count: int) -> str:
    return f"{count} day{'s' if count != 1 else ''}"
