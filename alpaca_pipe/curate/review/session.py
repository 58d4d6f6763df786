"""A sitting: one person goes through rows. Every decision is on the disk before the next row is shown; its minutes are counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.curate.review.decisions import (
    Decision,
    Decisions,
    Verdict,
    append,
    decision,
    read_decisions,
)
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.manual_entries import enter_sitting
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.connection import machine_id
from alpaca_pipe.ledger.store.journal import Journal

WORDS: dict[Verdict, str] = {
    "keep": "to keep",
    "drop": "to drop",
    "edit": "edited",
    "note": "noted",
    "undo": "taken back",
}
PAUSE = 120.0  # seconds: what is longer between two keys was not spent on the row


@dataclass(frozen=True)
class ReviewItem:
    """A row to look at. verdict: what curate did with it; origin: lines; neighbour: finds its nearest row, in words, or ""."""

    example: Example
    verdict: str = ""
    origin: tuple[str, ...] = ()
    neighbour: Callable[[], str] = str

    @cached_property
    def nearest(self) -> str:
        """Looked for when the row is looked at."""
        return self.neighbour()


@dataclass
class ReviewSession:
    """What was decided in it, and the file it goes to."""

    path: Path
    who: str
    name: str
    decisions: Decisions
    clock: Callable[[], float] = time.monotonic
    made: Counter[str] = field(default_factory=Counter)
    _last: float = -1.0
    _spent: float = 0.0

    def look(self) -> None:
        """Something was seen or pressed: the time since the last such moment counts, up to PAUSE."""
        now = self.clock()
        if self._last >= 0:
            self._spent += min(now - self._last, PAUSE)
        self._last = now

    def decide(
        self,
        row: Example,
        verdict: Verdict,
        *,
        why: str = "",
        texts: Mapping[str, str] | None = None,
    ) -> Decision:
        """Stores it, fsync included."""
        self.look()
        made = decision(
            row, verdict, why=why, texts=texts, who=self.who, seconds=self._spent, session=self.name
        )
        append(self.path, [made])
        self._spent = 0.0
        self.decisions = Decisions(self.path, (*self.decisions.lines, made))
        self.made[verdict] += 1
        return made

    @property
    def changed(self) -> bool:
        """Whether anything was decided that curate would hold to."""
        return any(self.made[verdict] for verdict in ("keep", "drop", "edit", "undo"))

    def told(self) -> str:
        """`7 decided: 4 to keep, 2 to drop, 1 edited; 1 notes`."""
        said = ", ".join(
            f"{self.made[verdict]:,} {word}"
            for verdict, word in WORDS.items()
            if self.made[verdict]
        )
        return f"this time {said}" if said else "nothing was decided"


def place_of(workspace: Path, recipe: str) -> str:
    """Names a recipe in this workspace on this machine in the names of its sittings, so that no other ledger, and no other
    recipe whose decisions stand in the same file, counts their minutes too."""
    return digest_of([machine_id(), str(workspace.resolve()), recipe])[:12]


def new_name(workspace: Path, recipe: str) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{place_of(workspace, recipe)}"


@dataclass(frozen=True)
class ImportedDecisions:
    """Of a file that a page saved: lines that are new here, those that were here already, those about ids that no row of the
    last run has, and those that are older than what was decided on the same id since."""

    new: tuple[Decision, ...]
    known: int
    unknown: int
    older: int
    sittings: frozenset[str]

    def lines(self) -> Iterable[str]:
        counts = Counter(line.verdict for line in self.new)
        told = ", ".join(
            f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict]
        )
        yield f"{len(self.new):,} decisions taken{f': {told}' if told else ''}"
        if self.known:
            yield f"{self.known:,} were taken before"
        if self.older:
            yield f"{self.older:,} are older than what was decided on the same rows since, and left out"
        if self.unknown:
            yield f"{self.unknown:,} are about rows that the last run does not hold; they wait for the rows to come again"


def take(file: Path, into: Path, ids: frozenset[str]) -> ImportedDecisions:
    """Checks a file of decisions and adds what is new in it to the recipe's own. ids: of the last run's rows. Taken twice, or
    again after the page went on, nothing is doubled. Raises UserErrors with every line that is none; nothing is added then."""
    if not file.is_file():
        raise UserError(
            f"{file}: no such file",
            "name the file that the page saved; browsers put it into their download folder",
        )
    if file.resolve() == into.resolve():
        raise UserError(
            f"{file}: these are the recipe's own decisions already",
            "name the file that the page saved",
        )
    theirs, ours = read_decisions(file), read_decisions(into)
    here, last = (
        {_key(line) for line in ours.lines},
        {line.id: line for line in ours.lines if line.verdict != "note"},
    )
    new, older, known = list[Decision](), 0, 0
    for line in theirs.lines:
        held = last.get(line.id)  # one that took a decision back, too
        if _key(line) in here:
            known += 1
        elif line.verdict != "note" and held and _later(held.when, line.when):
            older += 1
        else:
            new.append(line)
    if new:
        append(into, new)
    unknown = len({line.id for line in new} - ids)
    return ImportedDecisions(
        tuple(new),
        known,
        unknown,
        older,
        frozenset(line.session for line in theirs.lines if line.session),
    )


def _key(line: Decision) -> str:
    return digest_of(line.to_row())


def _later(one: str, other: str) -> bool:
    return bool(one and other) and datetime.fromisoformat(one) > datetime.fromisoformat(other)


def enter_minutes(
    decisions: Decisions,
    sittings: Callable[[str], bool],
    ledger: Path,
    recipe: str,
    table: GpuTable,
) -> str:
    """Enters the minutes of these sittings as work of a person, each once, and says so. Nothing is entered without a rate."""
    spent: Counter[str] = Counter()
    for line in decisions.lines:
        if line.session and sittings(line.session):
            spent[line.session] += round(line.seconds * 10)
    tenths = sum(spent.values())
    if tenths < 5:  # not a second
        return ""
    if not table.human_per_hour:
        return f"{_minutes(tenths / 10)} of review so far; without a rate (gpu.human_per_hour) nothing is entered in the ledger"
    total, entered = 0, False
    with Journal.open(ledger) as journal:
        for name, amount in sorted(spent.items()):
            cost = enter_sitting(
                journal, recipe, name, amount / 10, table, stage="curate", note="review"
            )
            total, entered = total + (cost or 0), entered or cost is not None
    if not entered:
        return f"{_minutes(tenths / 10)} of review so far, all in the ledger already"
    return (
        f"{_minutes(tenths / 10)} of review so far at ${table.human_per_hour:f} an hour; {shown(total)} entered in the ledger "
        "as human work"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"
