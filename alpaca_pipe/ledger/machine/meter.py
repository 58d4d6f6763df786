"""The running meter of a lease: a thread of the parent process that beats, reserves the next slice, and stops in time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TypeVar

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import WARN_AT, BudgetReached, Caps, lent_out, more
from alpaca_pipe.ledger.entries import Short
from alpaca_pipe.ledger.machine import detect, lease
from alpaca_pipe.ledger.machine.config import LeaseTerms
from alpaca_pipe.ledger.machine.lease import Heartbeat, Lease
from alpaca_pipe.ledger.money import NANO, enough, shown
from alpaca_pipe.ledger.store.journal import Journal

T = TypeVar("T")


@dataclass(frozen=True)
class MeterTiming:
    """In seconds. A kill loses at most `every` of the books; `grace` is paid for before a run is asked to stop, so that it
    can store what it has; in the last tenth of that it is interrupted."""

    every: float = 10.0
    ahead: float = 600.0
    grace: float = 120.0

    @classmethod
    def with_grace(cls, grace: float) -> MeterTiming:
        return cls(min(cls.every, grace / 4), max(cls.ahead, 2 * grace), grace)


class Meter:
    """Bills a machine from its lease's start to `close`. `stop`: asks the run to end where its work is stored; with True it
    is interrupted."""

    def __init__(
        self,
        journal: Journal,
        terms: LeaseTerms,
        caps: Caps,
        *,
        recipe: str,
        run: str,
        stage: str,
        stop: Callable[[bool], None],
        tempo: MeterTiming = MeterTiming(),
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Reserves the first slice. Raises UserError where it does not fit below the caps. say: is told once for each cap
        that four fifths of it are used."""
        self._journal, self._caps, self._stop, self._tempo = journal, caps, stop, tempo
        self._wall, self._ticks = time.time(), _ticks()
        self._stage, self._phase = stage, "idle"
        self._say, self._unsaid = say, [] if terms.free else list(caps.over(terms.class_))
        self._state, self._ending = Lock(), Event()
        self._thread: Thread | None = None
        self.refused: UserError | None = None  # once the next slice does not fit
        self._interrupted = False
        now, machine = self._now(), journal.machine

        def work(db: sqlite3.Connection) -> tuple[Lease, int | Short]:
            other = lease.joined(db, machine, terms) if terms.since is None else None
            rental, origin = (
                terms.rental or f"lease-{run}",
                now if terms.since is None else terms.since,
            )
            if other:
                rental, origin = other.rental, other.origin
            mine = Lease(
                run,
                recipe,
                machine,
                detect.process_name(os.getpid()),
                rental,
                origin,
                terms,
                terms.rate.id if terms.rate else "",
            )
            first = self._before(db, mine, now) or stage
            return mine, lease.reserve(
                db, mine, caps, first, now + _ms(tempo.ahead), now + _ms(tempo.grace)
            )

        self._lease, answer = journal.write(work).result()
        if isinstance(answer, Short):
            raise self._over(answer)
        self._reserved = answer

    def start(self) -> None:
        """The machine is there: what it has cost before this run is settled, and its heart begins to beat."""
        self._journal.write(self._launch).result()
        self._thread = Thread(target=self._serve, name="lease", daemon=True)
        self._thread.start()

    def begin(self, stage: str, phase: str = "") -> None:
        """Another stage: the slice of the one before is settled."""
        with self._state:
            answer = self._beat(lambda db: self._turn(db, stage, phase or stage))
            self._stage, self._phase = stage, phase or stage
            self._take(answer)
        self._warn()

    def phase(self, phase: str) -> None:
        """What the machine does from now on: load, train, save ..."""
        with self._state:
            if phase != self._phase:
                self._phase = phase
                self._beat(lambda db: None)

    def running(self) -> int:
        """Nano-dollars that have accrued since the last settled slice."""
        with self._journal.read() as db:
            billed = lease.billed_until(db, self._lease)
        return max(0, self._lease.cost(max(self._now(), billed)) - self._lease.cost(billed))

    def close(self) -> None:
        """Settles to this moment, rounded up to the billing interval, and ends the lease."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._beat(lambda db: lease.close(db, self._lease))

    def _launch(self, db: sqlite3.Connection) -> None:
        now, counters = self._now(), detect.counters()
        if before := self._before(db, self._lease, now):
            billed = lease.billed_until(db, self._lease)
            lease.write_beat(
                db, self._lease.run, Heartbeat(billed, before, before, counters, self._lease)
            )
            lease.write_beat(db, self._lease.run, Heartbeat(now, before, before, counters))
            lease.settle(db, self._lease)
            lease.reserve(
                db, self._lease, Caps(), self._stage, self._reserved, now
            )  # it fitted together with that
            lease.write_beat(
                db, self._lease.run, Heartbeat(now, self._phase, self._stage, counters)
            )
        else:
            lease.write_beat(
                db, self._lease.run, Heartbeat(now, self._phase, self._stage, counters, self._lease)
            )

    @staticmethod
    def _before(db: sqlite3.Connection, mine: Lease, now: int) -> str:
        """What is billed before this run began: "boot", or "idle" since the last run on the same rental; or nothing."""
        billed = lease.billed_until(db, mine)
        if mine.terms.since is None or billed >= now:
            return ""
        return "boot" if billed == mine.origin else "idle"

    def _serve(self) -> None:
        while not self._ending.wait(self._tempo.every):
            self.look()

    def look(self) -> None:
        """What it does every few seconds: a beat, and where the slice is nearly over the next one, or the request to stop."""
        try:
            with self._state:
                if self._due():
                    self._take(self._beat(lambda db: self._turn(db, self._stage, self._phase)))
                else:
                    self._beat(lambda db: None)
            self._warn()
        except Exception as error:  # noqa: BLE001 - a full disk, a ledger that refuses: the next beat may go through
            self._failed(error)
        if (
            self.refused
            and not self._interrupted
            and self._reserved - self._now() <= _ms(self._tempo.grace / 10)
        ):
            self._interrupted = True
            self._stop(True)

    def _warn(self) -> None:
        terms, running = self._lease.terms, self.running()
        for cap in list(self._unsaid):
            used = (
                running
                + self._journal.totals(
                    None if cap.everywhere else self._lease.recipe, class_=cap.class_
                ).spent
            )
            if used * 100 >= WARN_AT * cap.nanodollars:
                self._unsaid.remove(cap)
                minutes = (
                    60 * max(0, cap.nanodollars - used) / (terms.per_hour + terms.energy_per_hour)
                )
                self._say(
                    cap.nearly_used(
                        f"{shown(used)}; the rest is about {minutes:,.0f} minutes of {terms.name}",
                    )
                )

    def _failed(self, error: Exception) -> None:
        """A meter that cannot write ends the run before what is reserved is used up."""
        if self._due() and self._reserved - self._now() <= _ms(self._tempo.grace / 2):
            self.refused = (
                error
                if isinstance(error, UserError)
                else UserError(
                    f"the meter of {self._lease.terms.name} cannot enter what it costs: {error}",
                    "nothing more was reserved for it; run again, it continues where it stopped",
                )
            )
            self._stop(False)

    def _due(self) -> bool:
        near = self._reserved - self._now() <= _ms(self._tempo.grace)
        return near and not self.refused and not self._lease.terms.free

    def _beat(self, then: Callable[[sqlite3.Connection], T]) -> T:
        now, counters = self._now(), detect.counters()

        def work(db: sqlite3.Connection) -> T:
            lease.write_beat(
                db, self._lease.run, Heartbeat(now, self._phase, self._stage, counters)
            )
            return then(db)

        return self._journal.write(work).result()

    def _turn(self, db: sqlite3.Connection, stage: str, phase: str) -> int | Short:
        """Settles the slice and reserves the next."""
        answer = lease.extend(
            db, self._lease, self._caps, stage, self._now() + _ms(self._tempo.ahead), self._reserved
        )
        if (stage, phase) != (self._stage, self._phase):
            lease.write_beat(db, self._lease.run, Heartbeat(self._now(), phase, stage))
        return answer

    def _take(self, answer: int | Short) -> None:
        if isinstance(answer, int):
            self._reserved = answer
        elif self._due():
            self.refused = self._over(answer)
            self._stop(False)

    def _over(self, short: Short) -> BudgetReached:
        per_hour = self._lease.terms.per_hour + self._lease.terms.energy_per_hour
        lost = f", {shown(short.lost)} lost until reconciled" if short.lost else ""
        held = f", {shown(short.open - short.lent)} reserved" if short.open > short.lent else ""
        held += lent_out(short)
        minutes = (
            f"{NANO * 60 / per_hour:,.0f} minutes"
            if NANO * 60 // per_hour
            else f"{NANO * 3600 / per_hour:,.0f} seconds"
        )
        return BudgetReached(
            f"the budget of {shown(short.cap)} ({short.budget}) is reached: {shown(short.settled)} settled{lost}{held}, and "
            f"{self._lease.terms.name} costs {shown(self._lease.terms.per_hour)} an hour",
            f"{more(short.budget, enough(self._for_another_slice(short)))} and run again, it continues where it stopped; "
            f"one more dollar buys about {minutes}",
        )

    def _for_another_slice(self, short: Short) -> int:
        """The cap, in nano-dollars, under which the machine can be had for the usual slice from now on."""
        seconds, terms = self._tempo.ahead + self._tempo.grace, self._lease.terms
        over = next((cap for cap in self._caps.over(terms.class_) if cap.key == short.budget), None)
        slice_ = terms.to_stop_in(seconds, over.class_ if over else None)
        return short.settled + short.lost + short.open + slice_

    def _now(self) -> int:
        """Milliseconds of the epoch by this process's own clock: one that a correction of the time of day cannot move."""
        return round((self._wall + _ticks() - self._ticks) * 1000)


def recover(journal: Journal, recipe: str) -> int:
    """Closes the leases that dead runs have left, each at its last beat; answers how many. Hold the recipe's lock."""
    return journal.write(lambda db: len(lease.recover(db, recipe, journal.machine))).result()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _ticks() -> float:
    """Seconds of a clock that goes on while the machine sleeps: its provider's does."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )
