"""`alpaca-pipe prices update`: what a kept table says otherwise than the price book, appended to the user's own file.

Nothing that stands is edited. A price that the table confirms at a later day is appended too, with that day, so that it is no
longer doubted; one that the table does not date stays as old as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from alpaca_pipe.core.aligned import Cell, in_columns
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.screen import Styled, echo_json, put
from alpaca_pipe.ledger.pricing.end_of_life import living
from alpaca_pipe.ledger.pricing.pin_price import append_all
from alpaca_pipe.ledger.pricing.price_sources import PriceSource, TablePrice
from alpaca_pipe.ledger.pricing.token_prices import Price, hosts, prices_on

Word = Literal["changed", "confirmed", "new"]
_OURS = {
    "in": "uncached_in",
    "out": "visible_out",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning_out",
}


@dataclass(frozen=True)
class PriceNews:
    """One row to append. before: the price as it stands; None for a new model."""

    word: Word
    provider: str
    model: str
    mode: str
    before: Price | None
    table: TablePrice

    def cells(self, day: date) -> dict[str, Any]:
        """The row in the user's file. From the day that the table names, where that is later than the price that stands."""
        start = self.table.start
        standing = self.before.start if self.before and self.before.start else date.min
        first = start if start and start > standing else day
        cells: dict[str, Any] = {"model": self.model, "provider": self.provider}
        cells |= {"mode": self.mode} if self.mode != "online" else {}
        cells |= self.table.figures
        cells |= {"most_in": self.table.most_in} if self.table.most_in else {}
        return cells | {
            "from": first,
            "checked": max(self.table.seen or first, min(first, day)),
            "source": self.table.source,
        }


@dataclass(frozen=True)
class PriceCheck:
    """Every price that is known, held against a table. equal: the same figures, at no later day. unknown: not in the table."""

    source: str
    news: tuple[PriceNews, ...]
    equal: int
    unknown: int


def check_against(source: PriceSource, day: date, add: str = "") -> PriceCheck:
    """The living prices of a day, and the table's further models whose name contains `add`."""
    news: list[PriceNews] = []
    equal = unknown = 0
    known = list(living(prices_on(day), day))
    for price in known:
        found = source.find(price.provider, price.model, price.mode, day)
        if price.free or found is None:
            unknown += not price.free
            continue
        same = _same(price, found)
        later = found.seen is not None and price.checked is not None and found.seen > price.checked
        if same and not later:
            equal += 1
            continue
        word: Word = "confirmed" if same else "changed"
        news.append(PriceNews(word, price.provider, price.model, price.mode, price, found))
    if add:
        news += _new(source, day, add, {(one.provider, one.model) for one in known})
    return PriceCheck(source.name, tuple(news), equal, unknown)


def _new(
    source: PriceSource, day: date, add: str, known: set[tuple[str, str]]
) -> Iterator[PriceNews]:
    for provider in sorted(set(hosts().values())):
        for model in source.named(provider):
            if add.lower() in model.lower() and (provider, model) not in known:
                found = source.find(provider, model, "online", day)
                if found:
                    yield PriceNews("new", provider, model, "online", None, found)


def _same(price: Price, found: TablePrice) -> bool:
    """Class by class, of those that the table names: of others it says nothing."""
    each: dict[str, Decimal] = dict(price.per_million)  # type: ignore[arg-type]
    return all(each[_OURS[name]] == figure for name, figure in found.figures.items()) and (
        price.most_in == found.most_in or price.mode == "batch"
    )


def update_prices(
    source: PriceSource, day: date, *, add: str = "", write: bool = False, as_json: bool = False
) -> None:
    """Shows what differs, and appends it where asked to. UserError where `add` names nothing."""
    found = check_against(source, day, add)
    if add and not any(one.word == "new" for one in found.news):
        raise UserError(
            f"{source.name} has no further model called '{add}'",
            "look at `alpaca-pipe prices TEXT` for those that are known already",
        )
    place = append_all("price", [one.cells(day) for one in found.news]) if write else []
    if as_json:
        echo_json(_as_json(found, day, write))
        return
    _show(found)
    for line in place:
        put(line)
    if found.news and not write:
        put("nothing is written yet: --write appends these rows to your own price file")


def _show(found: PriceCheck) -> None:
    rows: list[Sequence[Cell]] = []
    for one in found.news:
        colour = {"changed": "yellow", "new": "cyan"}.get(one.word, "dim")
        was = _figures(one.before) if one.before else ""
        now = ", ".join(
            f"{name} {value.normalize():f}" for name, value in one.table.figures.items()
        )
        batch = " in batches" if one.mode == "batch" else ""
        rows.append(
            [
                Styled(one.word, colour),
                f"{one.provider} {one.model}{batch}",
                was,
                now if one.word != "confirmed" else "",
                str(one.table.seen or "undated"),
            ]
        )
    if rows:
        head = ["", "", "was, $ a million tokens", "is", "seen"]
        for line in in_columns([head, *rows], most=60):
            put(*line)
    words = [
        sum(one.word == word for one in found.news) for word in ("changed", "confirmed", "new")
    ]
    put(
        f"by {found.source}: {words[0]} changed, {words[1]} confirmed at a later day, {words[2]} new, "
        f"{found.equal} as they stand, {found.unknown} not in it"
    )


def _figures(price: Price) -> str:
    each: dict[str, Decimal] = dict(price.per_million)  # type: ignore[arg-type]
    sides = {"cache_read": "uncached_in", "cache_write": "uncached_in", "reasoning": "visible_out"}
    shown = [
        f"{name} {each[ours].normalize():f}"
        for name, ours in _OURS.items()
        if name not in sides or each[ours] != each[sides[name]]
    ]
    return ", ".join(shown)


def _as_json(found: PriceCheck, day: date, written: bool) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)

    return {
        "source": found.source,
        "written": written,
        "equal": found.equal,
        "unknown": found.unknown,
        "rows": [
            {"word": one.word, "was": _figures(one.before) if one.before else None}
            | {name: plain(value) for name, value in one.cells(day).items()}
            for one in found.news
        ],
    }
