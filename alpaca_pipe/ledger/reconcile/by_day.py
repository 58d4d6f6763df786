"""Day by day: what a provider charged for each model and side of it, against what our attempts of that day make.

A bill by day cannot name an attempt, so nothing is written from it. Where it does not say what was charged for (no
line item), whole models or whole days are compared.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

from alpaca_pipe.ledger.money import cost_of_tokens
from alpaca_pipe.ledger.pricing.token_prices import CLASSES, hosts
from alpaca_pipe.ledger.reconcile.provider_exports import ProviderBooks, rounded
from alpaca_pipe.ledger.store.journal import Journal

ANY = ""  # a model or a side that is not told
_SIDE_OF = {
    "uncached_in": "input",
    "cache_read": "cached input",
    "cache_write": "cache writes",
    "visible_out": "output",
    "reasoning_out": "output",
}
# In this order: "cached input" is input too. OpenAI writes "gpt-4o-mini-2024-07-18, cached input".
_SIDES = tuple(
    (side, re.compile(says, re.IGNORECASE))
    for side, says in (
        ("cache writes", r"cache[ _-]*(writ|creat)"),
        ("cached input", "cache"),
        ("output", "output|completion"),
        ("input", "input|prompt"),
    )
)
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")

Key = tuple[str, str, str]  # day, model, side


@dataclass(frozen=True)
class DayComparison:
    """One day of one model, or of one side of it, in nano-dollars. lost: of the model on that day, at its ceiling, and
    stated once: with its first side."""

    day: str
    model: str
    side: str
    theirs: int
    ours: int
    lost: int

    @property
    def difference(self) -> int:
        return self.theirs - self.ours

    @property
    def item(self) -> str:
        return ", ".join(part for part in (self.model or "all models", self.side) if part)


@dataclass
class BothBooks:
    """Both books by day, model and side. strangers: what they charged for models that we never asked. elsewhere: what
    other providers than the file's have cost us on its days."""

    shares: list[DayComparison] = field(default_factory=list)
    strangers: dict[str, int] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)


def compare(journal: Journal, books: ProviderBooks) -> BothBooks:
    """Both sides over the days of the file, as finely as the coarser of them tells."""
    first, last = str(books.first.date()), str((books.last - timedelta(microseconds=1)).date())
    with journal.read() as db:
        db.execute("BEGIN")
        try:
            ours, lost, elsewhere = _ours(db, first, last, books.providers)
        finally:
            db.execute("COMMIT")
    models = {model for _, model, _ in ours} | {model for _, model in lost}
    theirs, strangers = _theirs(books, models)
    blind = {day for day, model, _ in theirs if model == ANY}
    coarse = {(day, model) for day, model, side in (*theirs, *ours) if side == ANY}

    def told(day: str, model: str, side: str) -> Key:
        return (
            (day, ANY, ANY)
            if day in blind
            else (day, model, ANY)
            if (day, model) in coarse
            else (day, model, side)
        )

    left: defaultdict[Key, Decimal] = defaultdict(Decimal)
    right: defaultdict[Key, int] = defaultdict(int)
    gone: defaultdict[tuple[str, str], int] = defaultdict(int)
    for key, dollars in theirs.items():
        left[told(*key)] += dollars
    for key, amount in ours.items():
        right[told(*key)] += amount
    for (day, model), amount in lost.items():
        gone[(day, ANY if day in blind else model)] += amount
    keys = sorted(
        {
            *left,
            *right,
            *(
                (day, model, ANY)
                for day, model in gone
                if not any(key[:2] == (day, model) for key in (*left, *right))
            ),
        }
    )
    shares = [
        DayComparison(*key, rounded(left[key]), right[key], gone.pop(key[:2], 0)) for key in keys
    ]
    return BothBooks(
        shares, {item: rounded(dollars) for item, dollars in sorted(strangers.items())}, elsewhere
    )


def unexplained(
    shares: Iterable[DayComparison], tolerance: Fraction, of_theirs: bool
) -> list[DayComparison]:
    """Those that differ by more than the tolerance (nano-dollars, or a share of theirs), and that the lost attempts of
    the day and model cannot explain: they can only make the provider's amount the larger one."""
    by_model: defaultdict[tuple[str, str], list[DayComparison]] = defaultdict(list)
    for share in shares:
        by_model[share.day, share.model].append(share)
    beyond = []
    for of_model in by_model.values():
        room = sum(share.lost for share in of_model)
        for share in sorted(of_model, key=lambda share: share.difference):
            allowed = tolerance * abs(share.theirs) if of_theirs else tolerance
            if abs(share.difference) <= allowed:
                continue
            if 0 < share.difference <= room + allowed:
                room -= share.difference
                continue
            beyond.append(share)
    return beyond


def _theirs(
    books: ProviderBooks, models: set[str]
) -> tuple[dict[Key, Decimal], dict[str, Decimal]]:
    theirs: defaultdict[Key, Decimal] = defaultdict(Decimal)
    strangers: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in books.rows:
        found = _item(row.item, tuple(sorted(models, key=len, reverse=True)))
        if found is None:
            strangers[row.item] += row.dollars
        else:
            theirs[(str(row.day), *found)] += row.dollars
    return dict(theirs), dict(strangers)


def _ours(
    db: sqlite3.Connection,
    first: str,
    last: str,
    theirs: frozenset[str],
) -> tuple[dict[Key, int], dict[tuple[str, str], int], dict[str, int]]:
    """Nano-dollars by day, model and side, what is lost by day and model, and what was bought elsewhere, by provider. An
    attempt belongs to the day on which it ended, and so does what was said about it later. An amount that its tokens do
    not make has no side."""
    prices = {id_: json.loads(price) for id_, price in db.execute("SELECT id, price FROM prices")}
    others = _others({price.get("provider") or "" for price in prices.values()}, theirs)
    elsewhere: defaultdict[str, int] = defaultdict(int)
    ours: defaultdict[Key, int] = defaultdict(int)
    lost: defaultdict[tuple[str, str], int] = defaultdict(int)
    for day, price_id, kind, amount, frees, usage in db.execute(
        """SELECT substr(COALESCE(ended.at, e.at), 1, 10) AS day, e.price, e.kind, e.nanodollars, e.frees, e.usage
               FROM entries AS e LEFT JOIN entries AS ended ON e.kind IN ('reconciled', 'correction')
                   AND ended.request = e.request AND ended.attempt = e.attempt AND ended.machine = e.machine
                   AND ended.kind IN ('settled', 'released', 'lost')
               WHERE e.class = 'api' AND e.kind IN ('settled', 'lost', 'reconciled', 'correction')
                   AND day BETWEEN ? AND ?""",
        (first, last),
    ):
        price = prices.get(price_id, {})
        model, per_million = undated(str(price.get("model", ""))), price.get("per_million", {})
        if not any(Decimal(figure) for figure in per_million.values()):
            continue  # a free teacher sends no bill
        if (provider := price.get("provider")) in others:
            elsewhere[provider] += 0 if kind == "lost" else amount
            continue
        if kind in ("lost", "reconciled"):
            lost[day, model] += amount if kind == "lost" else -frees
        if kind == "lost":
            continue
        parts = _by_class(usage, per_million) if kind == "settled" else {}
        for side, part in parts.items() if sum(parts.values()) == amount else ((ANY, amount),):
            if part:
                ours[day, model, side] += part
    return (
        dict(ours),
        {key: amount for key, amount in lost.items() if amount},
        dict(sorted(elsewhere.items())),
    )


def _others(ours: set[str], theirs: frozenset[str]) -> set[str]:
    """Those of our providers whose charges are not in the file. None where it does not say whose they are, or in words
    that nobody knows: then everything is compared."""
    known = {_plain(provider) for provider in ours | set(hosts().values())} - {""}
    names = {_plain(name) for name in theirs}
    if not names or not all(name.startswith(tuple(known)) for name in names):
        return set()
    return {
        provider
        for provider in ours
        if provider and not any(name.startswith(_plain(provider)) for name in names)
    }


@cache
def _plain(name: str) -> str:
    """`X.AI` and `xai`, `Mistral AI` and `mistral` begin alike."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _by_class(usage: str | None, per_million: Mapping[str, str]) -> dict[str, int]:
    used = json.loads(usage or "{}")
    parts: defaultdict[str, int] = defaultdict(int)
    for name in CLASSES:
        parts[_SIDE_OF[name]] += _cost(used.get(name, 0), per_million[name])
    return parts


@cache
def _cost(tokens: int, per_million: str) -> int:
    return cost_of_tokens(tokens, Decimal(per_million))


@cache
def undated(model: str) -> str:
    """A model's name without its date and without the house before it: providers bill the dated one."""
    return _DATED.sub("", model.rsplit("/", 1)[-1])


@cache
def _item(item: str, models: tuple[str, ...]) -> tuple[str, str] | None:
    """Model and side of a line item, ANY where it does not say; None where it is a model that we never asked."""
    if not item:
        return ANY, ANY
    for model in models:  # the longest first
        name = re.compile(
            rf"(?<![\w.-]){re.escape(model)}(-\d{{4}}-\d{{2}}-\d{{2}})?(?![\w.-])", re.IGNORECASE
        )
        if model and name.search(item):
            rest = name.sub("", item)
            return model, next((side for side, says in _SIDES if says.search(rest)), ANY)
    return None
