"""The machine under a run: what it will cost is held against the caps before a step, and metered while it works."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Sequence
from contextlib import suppress
from math import ceil

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.budget import BudgetReached, Cap, Caps, more
from alpaca_pipe.ledger.machine import config as machine_config
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.meter import Meter, MeterTiming
from alpaca_pipe.ledger.money import NANO, enough, shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.estimates import billed
from alpaca_pipe.recipe.plan import Step
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.recipe.stage import Estimate

_WORTH_SAYING = 5.0  # minutes of a rented GPU that it is not used
Coming = Sequence[tuple[Step, Estimate]]


class Rent:
    """Opened by the first step that runs, closed at the run's end: between them the machine is billed for all its time. Where
    the lease waits for the GPU, the steps before are metered as this machine's, at nothing."""

    def __init__(
        self,
        table: GpuTable,
        journal: Journal,
        caps: Caps,
        screen: Screen,
        stopping: threading.Event,
        *,
        recipe: str,
        run: str,
    ) -> None:
        self._table, self._journal, self._caps, self._screen, self._stopping = (
            table,
            journal,
            caps,
            screen,
            stopping,
        )
        self._recipe, self._run = recipe, run
        self._terms = machine_config.IDLE
        self._meter: Meter | None = None
        self._used = False  # the GPU, by a step of this run

    def look_ahead(self, coming: Coming) -> None:
        """Before anything runs: a GPU without a price, and steps that will not fit below the caps. Raises UserError."""
        on_gpu = [step for step, _ in coming if step.on_gpu]
        self._terms = machine_config.terms(self._table, today(), bool(on_gpu))
        self._check(coming)
        waits = self._table.waits()
        idle = sum(estimate.minutes.p50 for step, estimate in coming if not (step.on_gpu or waits))
        if on_gpu and self._terms.per_hour and idle > _WORTH_SAYING:
            cost = round(self._terms.per_hour * idle / 60)
            self._screen.say(
                f"about {spell(idle)} of this run do not use the GPU ({shown(cost)}): `--until "
                f"{[step for step, _ in coming if not step.on_gpu][-1].stage.kind} gpu.lease_start=gpu` elsewhere saves them"
            )

    def begin(self, step: Step, estimate: Estimate) -> None:
        """A step: it is refused where its P50 does not fit; else its time runs. Raises UserError."""
        kind = step.stage.kind
        waiting = not step.on_gpu and not self._used and self._table.waits()
        if not waiting:
            self._check([(step, estimate)], alone=True)
        if step.on_gpu and not self._used:
            self._used = True
            if self._table.waits():
                self.close()  # of the machine that was not rented
                self._meter = None
        if self._meter is None:
            terms = machine_config.unpaid(self._table) if waiting else self._terms
            if terms.says:
                self._screen.say(terms.says)
            self._meter = Meter(
                self._journal,
                terms,
                self._caps,
                recipe=self._recipe,
                run=self._run,
                stage=kind,
                stop=self._stop,
                tempo=MeterTiming.with_grace(self._table.grace),
                say=self._screen.say,
            )
            self._meter.start()
        self._meter.begin(kind, kind if step.on_gpu else "idle")

    def phase(self, name: str) -> None:
        """What the machine does from now on."""
        if self._meter:
            self._meter.phase(name)

    @property
    def per_hour(self) -> int:
        """Nano-dollars of the machine that this run is billed for."""
        return self._terms.per_hour

    def running(self) -> int:
        """Nano-dollars on the meter that are not settled yet."""
        return self._meter.running() if self._meter else 0

    @property
    def refused(self) -> UserError | None:
        """Why the machine's next slice was not paid for, once it was not."""
        return self._meter.refused if self._meter else None

    def close(self) -> None:
        if self._meter:
            with suppress(UserError):  # a full disk: the next run closes the lease at its last beat
                self._meter.close()

    def _stop(self, at_once: bool) -> None:
        self._stopping.set()
        if at_once:
            _thread.interrupt_main()
        else:
            self._screen.say(
                "the budget does not cover the machine's next minutes: what is under way is stored, then it ends"
            )

    def _check(self, coming: Coming, alone: bool = False) -> None:
        """What is expected of steps that begin anew, against what is left; one that resumes is guarded by its slices. alone: one
        that is billed whatever it needs."""
        paid = (
            [step for step, _ in coming]
            if alone
            else billed([step for step, _ in coming], self._table)
        )
        anew = [
            (step, estimate)
            for step, estimate in coming
            if step.verdict == "run" and any(step is one for one in paid)
        ]
        cost = sum((_cost(estimate, self._terms.per_hour) for _, estimate in anew), NOTHING)
        if not cost.p50 or not self._terms.per_hour:
            return
        asked = sum((estimate.api for _, estimate in anew), NOTHING)
        minutes = sum((estimate.minutes for _, estimate in anew), NOTHING)
        with_energy = cost + minutes.times(self._terms.energy_per_hour / 60)

        def wanted(cap: Cap) -> tuple[Range, int]:
            """What it will take of this cap, and what is kept free below it."""
            kept = self._terms.to_stop_in(self._table.grace, cap.class_)
            return cost if cap.class_ else with_energy, kept

        short = [
            (cap, left, *wanted(cap))
            for cap in self._caps.over(self._terms.class_)
            if wanted(cap)[0].p50 + wanted(cap)[1] > (left := self._left(cap))
        ]
        if not short:
            return
        cures = [
            more(
                cap.key,
                enough(
                    cap.nanodollars
                    - left
                    + kept
                    + _most(takes)
                    + (0 if cap.class_ else _most(asked))
                ),
            )
            for cap, left, takes, kept in short
        ]
        cap, left, takes, kept = short[0]
        kinds = ", ".join(step.stage.kind for step, _ in anew)
        raise BudgetReached(
            f"{kinds} will take about {shown(round(takes.p50))} of {self._terms.name} ({shown(round(takes.p10))} to "
            f"{shown(round(takes.p90))}) and {shown(kept)} is kept free to store the work in (gpu.grace), and "
            f"{shown(max(0, left))} is left of {cap.key} ({shown(cap.nanodollars)})",
            f"{' and '.join(cures)}, or choose a cheaper machine; one dollar buys about "
            f"{spell(60 * NANO / self._terms.per_hour)}",
        )

    def _left(self, cap: Cap) -> int:
        """Nano-dollars below it, the slice that is reserved for this run among them."""
        held = self._journal.totals(
            recipe=None if cap.everywhere else self._recipe, class_=cap.class_
        )
        own = self._journal.totals(self._recipe, self._run, class_=cap.class_)
        return cap.left(held) + own.open


def _most(cost: Range) -> int:
    return ceil(cost.p90)


def _cost(estimate: Estimate, per_hour: int) -> Range:
    """Nano-dollars: as the stage says, else its minutes at the machine's price."""
    return estimate.gpu if estimate.gpu.p50 else estimate.minutes.times(per_hour / 60)
