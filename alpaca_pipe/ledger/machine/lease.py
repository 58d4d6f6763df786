"""A lease in the books: slices of a rented machine's time, reserved before they begin and settled from the lease's start.

A slice costs cost(start until now) - cost(start until the slice before), so that all slices sum to the exact price of the
whole, however many there are and whoever settles them: two runs on one machine share its lease and bill no second twice.
What is settled is read from the beats; a lease that a kill has cut is therefore closed by the same code as a living one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil
from typing import Any

from alpaca_pipe.core.files import canonical
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt, Class, Short
from alpaca_pipe.ledger.machine import detect, energy
from alpaca_pipe.ledger.machine.config import LeaseTerms
from alpaca_pipe.ledger.store.balance import STILL_OPEN
from alpaca_pipe.ledger.store.connection import same_machine
from alpaca_pipe.ledger.store.journal import enter, keep_price, totals_of

CLOSED = "closed"
CUT_OFF = "cut off: closed at its last sign of life"
UNUSED = frozenset({"boot", "upload", "install", "idle"})  # phases in which the GPU is not at work
_HOUR = 3_600_000  # milliseconds; every moment here is in milliseconds of the epoch


@dataclass(frozen=True)
class Lease:
    """One run's part in the rental of a machine."""

    run: str
    recipe: str
    machine: str
    process: str  # detect.process_name
    rental: str  # the request key of its entries: one for all runs that share the machine
    origin: int  # since when the machine is billed
    terms: LeaseTerms
    price: str = ""  # id

    def cost(self, until: int) -> int:
        """Nano-dollars from the rental's start, rounded once."""
        return round(Fraction((until - self.origin) * self.terms.per_hour, _HOUR))

    def whole(self, until: int) -> int:
        """The end of the billing interval in which a moment lies."""
        step = self.terms.granularity * 1000
        return (
            self.origin + ceil(Fraction(until - self.origin, step)) * step if step > 1000 else until
        )

    def ceiling(self, billed: int, until: int, class_: Class) -> int:
        """The most that a slice can cost, in nano-dollars."""
        if class_ == "energy":
            return ceil(Fraction(max(0, until - billed) * self.terms.energy_per_hour, _HOUR))
        return max(0, self.cost(self.whole(until)) - self.cost(billed))

    @property
    def classes(self) -> tuple[Class, ...]:
        """Those in which a slice is reserved."""
        return tuple(
            class_
            for class_, per_hour in (
                (self.terms.class_, self.terms.per_hour),
                ("energy", self.terms.energy_per_hour),
            )
            if per_hour
        )

    def request(self, class_: Class) -> str:
        return f"{self.rental}-energy" if class_ == "energy" else self.rental

    def to_row(self) -> dict[str, Any]:
        row = {name.name: getattr(self, name.name) for name in fields(self) if name.name != "terms"}
        plain = {name.name: getattr(self.terms, name.name) for name in fields(self.terms)}
        return row | {"terms": plain | {"rate": None, "says": "", "gpus": list(self.terms.gpus)}}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Lease:
        return cls(
            **{**row, "terms": LeaseTerms(**{**row["terms"], "gpus": tuple(row["terms"]["gpus"])})}
        )


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life. counters: UUID -> millijoules, where the GPUs count them."""

    at: int
    phase: str
    stage: str
    counters: Mapping[str, int] = field(default_factory=dict)
    lease: Lease | None = None  # in the first one


def write_beat(db: sqlite3.Connection, run: str, beat: Heartbeat) -> None:
    detail = (
        {"stage": beat.stage}
        | ({"counters": dict(beat.counters)} if beat.counters else {})
        | ({"lease": beat.lease.to_row()} if beat.lease else {})
    )
    db.execute(
        "INSERT INTO beats VALUES (NULL, ?, ?, ?, ?)",
        (run, _text(beat.at), beat.phase, canonical(detail)),
    )


def reserve(
    db: sqlite3.Connection, lease: Lease, caps: Caps, stage: str, until: int, least: int
) -> int | Short:
    """Reserves the machine up to `until`, or as far as the caps allow, but at least up to `least`; answers how far."""
    if lease.terms.rate:
        keep_price(db, lease.terms.rate)
    billed = billed_until(db, lease)
    for cap in caps.over(lease.terms.class_):
        classes = [class_ for class_ in lease.classes if cap.class_ in (None, class_)]
        if not classes:
            continue
        held = totals_of(db, recipe=None if cap.everywhere else lease.recipe, class_=cap.class_)
        left = cap.left(held)
        until = _furthest(lease, classes, billed, left, until)
        short = sum(lease.ceiling(billed, least, class_) for class_ in classes)
        if until < least and short <= left:
            until = least
        elif until < least:
            return cap.refusal(held, short)
    _enter_reserved(db, lease, stage, billed, until)
    return until


def settle(db: sqlite3.Connection, lease: Lease, closing: bool = False, note: str = "") -> None:
    """Ends the open slice at the last beat; at the end of a lease the billing interval is rounded up."""
    billed = billed_until(db, lease)
    beats = list(_beats(db, lease.run))
    last = beats[-1]
    until = max(billed, lease.whole(last.at) if closing else last.at)
    held = _held(db, lease)
    cost = lease.cost(until) - lease.cost(billed)
    phases = phases_of(beats, billed, last.at)
    rounded = (
        {"rounded up": (until - max(billed, last.at)) / 1000}
        if closing and until > max(billed, last.at)
        else {}
    )
    class_ = lease.terms.class_
    if until > billed or class_ in held or note:
        usage = {
            "seconds": (until - billed) / 1000,
            "until": until,
            "phases": phases | rounded,
            "gpu": lease.terms.name,
        }
        _end(db, lease, held, class_, last.stage, cost, usage, note)
    _settle_energy(db, lease, held, beats, phases, note)


def extend(
    db: sqlite3.Connection, lease: Lease, caps: Caps, stage: str, until: int, now_until: int
) -> int | Short:
    """Settles the slice and reserves the next; where that does not fit, what was reserved before stays, for the end."""
    settle(db, lease)
    if lease.terms.free:
        return until
    answer = reserve(db, lease, caps, stage, max(until, now_until), least=now_until + 1)
    if isinstance(answer, Short):
        _enter_reserved(db, lease, stage, billed_until(db, lease), now_until)
    return answer


def close(db: sqlite3.Connection, lease: Lease, note: str = "") -> None:
    """Settles what is open at the last beat, and says that no more will come."""
    settle(db, lease, closing=True, note=note)
    last = list(_beats(db, lease.run))[-1]
    write_beat(db, lease.run, Heartbeat(last.at, CLOSED, last.stage))


def recover(db: sqlite3.Connection, recipe: str, machine: str) -> list[Lease]:
    """Closes the leases of dead runs at their last beat: those of this recipe, whose lock is held, and those of this
    machine whose process is gone. What was reserved and gave no sign of life is released."""
    cut = []
    for lease in list(open_leases(db)):
        dead = (
            same_machine(lease.machine, machine)
            and detect.process_name(_pid(lease.process)) != lease.process
        )
        if lease.recipe == recipe or dead:
            close(db, lease, CUT_OFF)
            cut.append(lease)
    for row in db.execute(
        f"""{_RESERVED} AND recipe = ? AND class IN ('gpu', 'machine', 'energy')
                              AND NOT EXISTS (SELECT 1 FROM beats WHERE lease = run)""",
        (recipe,),
    ).fetchall():
        enter(
            db,
            Attempt(*row[:8]),
            "released",
            0,
            class_=row[8],
            note="it gave no sign of life: never launched",
        )
    return cut


def joined(db: sqlite3.Connection, machine: str, terms: LeaseTerms) -> Lease | None:
    """A living lease of the same machine and GPUs: several runs on one GPU are one lease."""
    for lease in open_leases(db):
        same = (
            same_machine(lease.machine, machine)
            and lease.terms.gpus == terms.gpus
            and lease.terms.class_ == terms.class_
        )
        if (
            same
            and lease.terms.per_hour == terms.per_hour
            and detect.process_name(_pid(lease.process)) == lease.process
        ):
            return lease
    return None


def billed_until(db: sqlite3.Connection, lease: Lease) -> int:
    """The moment up to which a rental is settled, by whichever run."""
    rows = db.execute(
        """SELECT machine, MAX(json_extract(usage, '$.until')) FROM entries WHERE request = ? AND kind = 'settled'
           GROUP BY machine""",
        (lease.rental,),
    )
    ours = [until for machine, until in rows if until and same_machine(machine, lease.machine)]
    return int(max([lease.origin, *ours]))


def phases_of(beats: Sequence[Heartbeat], start: int, end: int) -> dict[str, float]:
    """Seconds of each phase between two moments: a beat's phase lasts until the next beat."""
    seconds: dict[str, float] = {}
    for beat, after in zip(beats, [*(beat.at for beat in beats[1:]), end], strict=True):
        spent = min(after, end) - max(beat.at, start)
        if spent > 0:
            seconds[beat.phase] = seconds.get(beat.phase, 0.0) + spent / 1000
    return {phase: round(spent, 3) for phase, spent in seconds.items()}


_RESERVED = f"""SELECT machine, recipe, run, stage, request, attempt, nanodollars, COALESCE(price, ''), class FROM entries AS e
    WHERE kind = 'reserved' AND {STILL_OPEN}"""


def _held(db: sqlite3.Connection, lease: Lease) -> dict[Class, Attempt]:
    """The reservations of this run that are open, by class."""
    rows = db.execute(
        f"{_RESERVED} AND run = ? AND request IN (?, ?)",
        (lease.run, lease.rental, lease.request("energy")),
    ).fetchall()
    return {row[8]: Attempt(*row[:8]) for row in rows}


def _furthest(lease: Lease, classes: Sequence[Class], billed: int, left: int, wanted: int) -> int:
    """The last moment up to which the machine can be reserved for so many nano-dollars."""

    def needs(until: int) -> int:
        return sum(lease.ceiling(billed, until, class_) for class_ in classes)

    if needs(wanted) <= left:
        return wanted
    rate = sum(
        lease.terms.energy_per_hour if class_ == "energy" else lease.terms.per_hour
        for class_ in classes
    )
    step = lease.terms.granularity * 1000
    until = billed + max(0, left) * _HOUR // rate
    until = lease.origin + (until - lease.origin) // step * step
    while until > billed and needs(until) > left:
        until -= step
    return until


def _enter_reserved(
    db: sqlite3.Connection, lease: Lease, stage: str, billed: int, until: int
) -> None:
    for class_ in lease.classes:
        attempt = _attempt(db, lease, class_, stage, lease.ceiling(billed, until, class_))
        enter(db, attempt, "reserved", attempt.ceiling, class_=class_)


def _attempt(
    db: sqlite3.Connection, lease: Lease, class_: Class, stage: str, amount: int = 0
) -> Attempt:
    request = lease.request(class_)
    last = (
        db.execute("SELECT MAX(attempt) FROM entries WHERE request = ?", (request,)).fetchone()[0]
        or 0
    )
    return Attempt(
        lease.machine,
        lease.recipe,
        lease.run,
        stage,
        request,
        last + 1,
        amount,
        lease.price if class_ != "energy" else "",
    )


def _end(
    db: sqlite3.Connection,
    lease: Lease,
    held: Mapping[Class, Attempt],
    class_: Class,
    stage: str,
    cost: int,
    usage: Mapping[str, Any],
    note: str,
) -> None:
    attempt = held.get(class_) or _attempt(db, lease, class_, stage)
    enter(db, attempt, "settled", cost, class_=class_, usage=usage, note=note)
    if class_ in held and cost > attempt.ceiling:
        enter(
            db,
            attempt,
            "anomaly",
            0,
            class_=class_,
            note=f"the machine ran on past what was reserved for it: {cost - attempt.ceiling} nano-dollars more",
        )


def _settle_energy(
    db: sqlite3.Connection,
    lease: Lease,
    held: Mapping[Class, Attempt],
    beats: Sequence[Heartbeat],
    phases: Mapping[str, float],
    note: str,
) -> None:
    terms, last = lease.terms, beats[-1]
    found = _measured(db, lease, beats)
    if found is None and terms.watts:
        seconds = sum(spent for phase, spent in phases.items() if phase not in UNUSED)
        found = energy.assumed(
            seconds / 3600, terms.watts, pue=terms.pue, kg_per_kwh=terms.kg_per_kwh
        )
    if "energy" not in held and (found is None or not found.kwh):
        return
    found = found or energy.measured(0, terms.pue, terms.kg_per_kwh)
    counters = {"counters": dict(last.counters)} if last.counters else {}
    _end(
        db,
        lease,
        held,
        "energy",
        last.stage,
        round(Fraction(found.kwh) * terms.per_kwh),
        found.usage() | counters,
        "; ".join(filter(None, (found.rests_on, note))),
    )


def _measured(
    db: sqlite3.Connection, lease: Lease, beats: Sequence[Heartbeat]
) -> energy.Energy | None:
    """From the counters' last reading in this rental to the last beat's."""
    now = next((beat.counters for beat in reversed(beats) if beat.counters), None)
    if now is None:
        return None
    row = db.execute(
        "SELECT usage FROM entries WHERE request = ? AND kind = 'settled' ORDER BY id DESC LIMIT 1",
        (lease.request("energy"),),
    ).fetchone()
    before = (json.loads(row[0]).get("counters") if row else None) or beats[0].counters
    drawn = 0
    for uuid, reading in now.items():
        was = before.get(uuid, reading)
        drawn += (
            reading - was if reading >= was else reading
        )  # the driver was loaded anew: it counts from nought
    return energy.measured(drawn / 1000, lease.terms.pue, lease.terms.kg_per_kwh)


def open_leases(db: sqlite3.Connection) -> Iterator[Lease]:
    """Those that were not closed: of living runs, and of dead ones that nobody came back to."""
    for (detail,) in db.execute(
        """SELECT detail FROM beats AS b WHERE id IN (SELECT MIN(id) FROM beats GROUP BY lease)
               AND (SELECT phase FROM beats WHERE lease = b.lease ORDER BY id DESC LIMIT 1) <> ?""",
        (CLOSED,),
    ).fetchall():
        yield Lease.of_row(json.loads(detail)["lease"])


def _beats(db: sqlite3.Connection, run: str) -> Iterator[Heartbeat]:
    for at, phase, detail in db.execute(
        "SELECT at, phase, detail FROM beats WHERE lease = ? ORDER BY id", (run,)
    ):
        facts = json.loads(detail)
        yield Heartbeat(_moment(at), phase, facts["stage"], facts.get("counters", {}))


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _pid(process: str) -> int:
    return int(process.split("-")[0] or 0)
