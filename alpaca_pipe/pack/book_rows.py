"""The rows of somebody else's books, each column read before any of it is merged: whole amounts that are not negative, days, names,
JSON where JSON stands. What one row cannot say (whether a reply was paid for) is checked over all of them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.core.files import digest_of
from alpaca_pipe.core.outside_numbers import (
    MOST_TOKENS,
    BadNumber,
    exact_json,
    exact_number,
    whole_number,
)
from alpaca_pipe.core.safe_names import is_name
from alpaca_pipe.ledger.machine.lease import CLOSED, Lease
from alpaca_pipe.ledger.pricing.token_prices import CLASSES, Price
from alpaca_pipe.pack.manifest import MOST, machine_of, moment_of

_LONGEST_NOTE = 1 << 20  # characters
_LONGEST_TEXT = 1 << 26
_MOST_MEASURED = 10**15  # seconds, joules, bytes of a usage
_CLOCKS_DIFFER = 86_400_000  # milliseconds by which another machine's clock may be ahead
_UNIT = {"human": "minutes", "storage": "gigabyte-days", "egress": "gigabytes"}
_PRICE_ID = re.compile(r"[a-z]\d-([0-9a-f]{16})")
_CORRECTS = re.compile(r"corrects (\S+): ")
_NOTHING = ("released", "anomaly")
Check = Callable[[Any], Any]


class BadRow(ValueError):
    """A row that no ledger of ours can hold. Its text says which part."""


@dataclass
class BooksChecked:
    """Everything that one pack's books say. recipe: whose they must be.  machines: who may have made them."""

    recipe: str
    machines: frozenset[str]
    _settled: set[str] = field(default_factory=set)
    _runs: set[str] = field(default_factory=set)
    _priced: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _intents: set[str] = field(default_factory=set)
    _sums: Counter[str] = field(default_factory=Counter)
    _phases: dict[str, str] = field(default_factory=dict)
    _total: int = 0

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Raises BadRow."""
        shape = _SHAPES.get(table)
        if shape is None or set(row) != set(shape):
            raise BadRow(f"a row of '{table[:40]}' is of another form")
        for column, check in shape.items():
            try:
                check(row[column])
            except (BadNumber, ValueError, TypeError) as error:
                raise BadRow(f"{table}.{column}: {error}") from None
        if row.get("recipe", self.recipe) != self.recipe:
            raise BadRow(f"a row of '{table}' is of another recipe")
        if row.get("machine") is not None and row["machine"] not in self.machines:
            raise BadRow(f"a row of '{table}' is of a machine that did not send it")
        getattr(self, f"_of_{table}")(row)

    def _of_prices(self, row: Mapping[str, Any]) -> None:
        price = json.loads(row["price"])
        if _PRICE_ID.fullmatch(row["id"]) is None or not row["id"].endswith(digest_of(price)[:16]):
            raise BadRow("a price is not the one that it is called")
        self._priced.add(row["id"])

    def _of_entries(self, row: Mapping[str, Any]) -> None:
        kind, amount = row["kind"], row["nanodollars"]
        if amount < 0 and kind != "correction" or amount and kind in _NOTHING:
            raise BadRow(f"an entry is {kind} at {amount} nano-dollars")
        self._total += abs(amount)
        if self._total > MOST:
            raise BadRow("more than a million dollars were spent")
        if row["price"] is not None and row["price"] not in self._priced:
            raise BadRow("an entry names a price that is not there")
        self._runs.add(row["run"])
        unit = _UNIT.get(row["class"])
        if unit and kind == "settled" and unit not in _object(row["usage"]):
            raise BadRow(f"an entry of class {row['class']} has no {unit}")
        if kind == "settled" and row["class"] == "api":
            self._settled.add(row["request"])
        if kind in ("settled", "reconciled", "correction"):
            named = _CORRECTS.match(row["note"]) if kind == "correction" else None
            name = f"{row['request']}.{row['attempt']}.{row['machine']}"
            self._sums[named[1] if named else name] += amount

    def _of_replies(self, row: Mapping[str, Any]) -> None:
        if row["key"] not in self._settled:
            raise BadRow("a reply has no entry that pays for it")

    def _of_batches(self, row: Mapping[str, Any]) -> None:
        self._intents.add(row["intent"])
        if row["event"] in ("collected", "abandoned"):
            self._ended.add(row["intent"])

    def _of_batch_requests(self, row: Mapping[str, Any]) -> None:
        if row["intent"] not in self._intents:
            raise BadRow("a request is of a batch that is not there")

    def _of_beats(self, row: Mapping[str, Any]) -> None:
        run = row["lease"]
        if run not in self._runs:
            raise BadRow("a sign of life is of a lease that is not there")
        said = _object(row["detail"])
        if not isinstance(said.get("stage"), str):
            raise BadRow("a sign of life is of no stage")
        for reading in _object(json.dumps(said.get("counters", {}))).values():
            whole_number(reading)
        if run not in self._phases:
            self._begun(run, json.loads(row["detail"]).get("lease"))
        self._phases[run] = row["phase"]

    def _begun(self, run: str, facts: Any) -> None:
        try:
            lease = Lease.of_row(facts)
            whole_number(lease.origin)
            figures = (lease.terms.per_hour, lease.terms.granularity)
            for figure in figures:
                whole_number(figure, most=MOST)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise BadRow("a lease says nothing of itself") from None
        if (lease.run, lease.recipe) != (run, self.recipe) or lease.machine not in self.machines:
            raise BadRow("a lease is of another run, recipe or machine")

    def all(self) -> None:
        """What is known once every row was read. Raises BadRow."""
        if below := next((name for name, amount in self._sums.items() if amount < 0), None):
            raise BadRow(f"{below[:80]} cost less than nothing")
        if self._intents - self._ended:
            raise BadRow("a batch is still with its provider")
        if any(phase != CLOSED for phase in self._phases.values()):
            raise BadRow("a machine is still rented")


class RepliesChecked:
    """Raw replies that came along with a recipe: nothing else stands beside them."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Raises BadRow."""
        if table != "replies" or set(row) != set(_REPLY):
            raise BadRow(f"a row of '{table[:40]}' is not a reply")
        for column, check in _REPLY.items():
            try:
                check(row[column])
            except (BadNumber, ValueError, TypeError) as error:
                raise BadRow(f"replies.{column}: {error}") from None

    def all(self) -> None:
        """Nothing is known of all of them together."""


def _text(most: int) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, str) or len(value) > most:
            raise BadRow("it is no text of that length")
        value.encode()  # half a character is none

    return check


def _named(value: Any) -> None:
    if not is_name(value):
        raise BadRow("it is not a name")


def _or_empty(check: Check) -> Check:
    return lambda value: None if value == "" else check(value)


def _or_null(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _one_of(*words: str) -> Check:
    def check(value: Any) -> None:
        if value not in words:
            raise BadRow(f"nobody knows {str(value)[:40]!r}")

    return check


def _amount(value: Any) -> None:
    if type(value) is not int:
        raise BadRow("it is not a whole number")
    whole_number(value, least=-MOST, most=MOST)


def _count(most: int, least: int = 0) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int:
            raise BadRow("it is not a whole number")
        whole_number(value, least=least, most=most)

    return check


def _object(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise BadRow("it is not JSON")
    found = exact_json(text)
    if not isinstance(found, dict):
        raise BadRow("it is not an object")
    return found


def _usage(text: Any) -> None:
    for name, value in _object(text).items():
        if name in CLASSES:
            whole_number(value, most=MOST_TOKENS)
        elif name == "until":
            whole_number(value, most=round(time.time() * 1000) + _CLOCKS_DIFFER)
        elif name in ("seconds", *_UNIT.values()):
            exact_number(value, least=-_MOST_MEASURED, most=_MOST_MEASURED)
        elif name in ("phases", "counters") and not isinstance(value, dict):
            raise BadRow(f"its {name} are not a table")
        else:
            _measured(value)


def _measured(value: Any) -> None:
    """What a lease used, by phases: no figure in it is beyond all measure."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _measured(one)
    elif not isinstance(value, str | bool | None):
        exact_number(value, least=-_MOST_MEASURED, most=_MOST_MEASURED)


def _price(text: Any) -> None:
    row = _object(text)
    if "per_million" in row and isinstance(row["per_million"], dict):
        try:
            figures: list[Any] = [*Price.from_row(row).per_million.values()]
        except (KeyError, TypeError, ArithmeticError) as error:
            raise BadRow(f"it is not a price ({type(error).__name__})") from None
    else:
        figures = [value for name, value in row.items() if name.startswith(("per_", "minimum"))]
    for figure in figures:
        if figure is not None:
            exact_number(figure, most=10**9)


def _asked(text: Any) -> None:
    row = _object(text)
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(part, str) for part in one)
        for one in messages
    ):
        raise BadRow("it asks nothing")
    if not isinstance(row.get("decoding"), dict) or type(row.get("sample")) is not int:
        raise BadRow("it asks nothing")


_WORD = _text(200)
_NOTE = _text(_LONGEST_NOTE)
_ENTRY: dict[str, Check] = {
    "at": moment_of,
    "machine": machine_of,
    "recipe": _named,
    "run": _or_empty(_named),
    "stage": _or_empty(_named),
    "request": _named,
    "attempt": _count(1 << 31, 1),
    "kind": _one_of(
        "reserved", "lent", "settled", "released", "lost", "reconciled", "correction", "anomaly"
    ),
    "class": _one_of("api", "machine", "gpu", "energy", "storage", "egress", "human"),
    "nanodollars": _amount,
    "frees": _count(MOST),
    "usage": _or_null(_usage),
    "price": _or_null(_named),
    "note": _NOTE,
}
_REPLY: dict[str, Check] = {
    "key": _named,
    "text": _text(_LONGEST_TEXT),
    "finish": _WORD,
    **dict.fromkeys(CLASSES, _count(MOST_TOKENS)),
    "model_said": _NOTE,
    "fingerprint": _NOTE,
    "request": _asked,
    "teacher": _object,
    "at": moment_of,
}
_SHAPES: dict[str, dict[str, Check]] = {
    "prices": {"id": _named, "price": _price},
    "entries": _ENTRY,
    "replies": _REPLY,
    "batches": {
        "at": moment_of,
        "intent": _named,
        "event": _one_of("intended", "uploaded", "created", "collected", "abandoned"),
        "recipe": _named,
        "run": _or_empty(_named),
        "stage": _or_empty(_named),
        "address": _text(2000),
        "teacher": _object,
        "provider": _text(1000),
        "note": _NOTE,
    },
    "batch_requests": {
        "intent": _named,
        "request": _named,
        "attempt": _count(1 << 31, 1),
        "machine": machine_of,
        "asked": _asked,
    },
    "beats": {"lease": _named, "at": moment_of, "phase": _WORD, "detail": _NOTE},
}
