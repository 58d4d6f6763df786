"""The rows of the ledger as values: an entry, an open attempt, a refusal to open one, a sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from alpaca_pipe.core.fast_dataclass import dataclass

Kind = Literal[
    "reserved", "lent", "settled", "released", "lost", "reconciled", "correction", "anomaly"
]
Class = Literal["api", "machine", "gpu", "energy", "storage", "egress", "human"]


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the journal, as it was written. `frees`: what it takes back from the row that it follows."""

    id: int
    at: str  # UTC, ISO 8601
    machine: str
    recipe: str
    run: str
    stage: str
    request: str  # request key, or an id of its own where nothing was requested
    attempt: int
    kind: Kind
    class_: Class
    nanodollars: int
    frees: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)  # tokens by class, or seconds
    price: str = ""  # id of the price used
    note: str = ""

    @property
    def name(self) -> str:
        """Of its attempt."""
        return f"{self.request}.{self.attempt}.{self.machine}"


@dataclass(frozen=True)
class Attempt:
    """An open reservation: what its end needs to know."""

    machine: str
    recipe: str
    run: str
    stage: str
    request: str
    number: int
    ceiling: int  # nano-dollars
    price: str

    @property
    def name(self) -> str:
        """Sent along with the attempt, so that the provider's own books can be held against ours line by line."""
        return f"{self.request}.{self.number}.{self.machine}"


@dataclass(frozen=True)
class Short:
    """A reservation that does not fit below a cap. All amounts in nano-dollars, of this recipe under this cap."""

    budget: str  # its key: "budget.api", "workspace budget.total" ...
    cap: int
    settled: int
    lost: int
    open: int
    ceiling: int  # of the request that did not fit
    waiting: bool  # True while this run has requests open, whose end may make room
    lent: int = 0  # of what is open: to other machines


def adds(kind: str, nanodollars: int, frees: int) -> tuple[int, int, int]:
    """What entries of a kind add to settled, lost and open, in nano-dollars; the balances are kept by the same rule, in a
    trigger (store/migrations.py)."""
    settled = nanodollars if kind in ("settled", "reconciled", "correction") else 0
    lost = nanodollars if kind == "lost" else -frees if kind == "reconciled" else 0
    reserved = nanodollars if kind in ("reserved", "lent") else 0
    return settled, lost, reserved - (frees if kind in ("settled", "released", "lost") else 0)


@dataclass(frozen=True)
class Totals:
    """Nano-dollars by state, and how many requests stand behind them."""

    settled: int = 0
    lost: int = 0  # sent, outcome unknown: counted at the ceiling until reconciled
    open: int = 0  # reserved by what is under way, and lent to other machines
    requests: int = 0  # answered requests to a teacher
    attempts: int = 0  # HTTP attempts to a teacher
    pending: int = 0  # attempts whose end is not recorded yet
    lent: int = 0  # a part of open

    @property
    def spent(self) -> int:
        return self.settled + self.lost
