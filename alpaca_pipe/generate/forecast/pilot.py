"""The forecast while the run goes on: renewed as rounds come in, said, and held against the caps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from alpaca_pipe.core.ranges import Range
from alpaca_pipe.generate.forecast.posterior import DRIFT_BETWEEN, HASTE_BETWEEN, ImaginedTeacher
from alpaca_pipe.generate.forecast.run_out import short_of
from alpaca_pipe.generate.forecast.simulation import Forecast, Workload, foresee
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.ledger.budget import BudgetReached, Cap, Caps, more
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.money import enough, shown
from alpaca_pipe.ledger.store.journal import Journal

# How far a figure moves within a run (standard deviation of its logarithm), and the pace: the next hour's load.
DRIFT, HASTE = 0.03, 0.12
_AGAIN = 1.1  # the forecast is renewed when so many times the prompts of the last one were asked
_MUCH, _SLIGHT = 0.2, 0.1  # a change worth a sentence; one that a band may be wrong by


class Pilot:
    """One for a run. prior: teachers as imagined before it; others: rounds of earlier runs. wait: prompts before the
    first forecast.  go_on: a forecast past the cap is said and does not stop the run."""

    def __init__(
        self,
        order: Workload,
        prior: ImaginedTeacher,
        others: Sequence[RoundStats],
        wait: int,
        journal: Journal,
        caps: Caps,
        recipe: str,
        run: str,
        go_on: bool,
    ) -> None:
        self._order, self._prior, self._others, self._next = order, prior, others, float(wait)
        self._journal, self._caps, self._recipe, self._run, self._go_on = (
            journal,
            caps,
            recipe,
            run,
            go_on,
        )
        self._last: Range | None = None
        self._warned, self._misses, self._seen = False, 0, 0
        self.note = ""  # for the line of progress

    def renew(self, rounds: Sequence[RoundStats]) -> Iterator[str]:
        """Sentences to say after these rounds of the run. Raises BudgetReached where its middle is more than a cap leaves."""
        whole = sum(rounds, RoundStats())
        if whole.seats < self._next and not self._passed(whole):
            return
        self._next = max(_AGAIN * whole.seats, self._next)
        forecast, teachers = self._forecast(rounds, whole)
        requests = forecast.range("requests") + Range.exactly(whole.requests)
        spent = self._journal.totals(self._recipe, run=self._run, class_="api").spent
        money = forecast.range("dollars")
        total = money + Range.exactly(spent)
        self.note = f"about {shown(round(total.p50))} in all" if total.p50 else ""
        before = self._last or self._planned()
        changed = abs(requests.p50 - before.p50) / before.p50 if before.p50 else 1.0
        if changed > _SLIGHT and not before.p10 <= requests.p50 <= before.p90:
            self._misses += 1
            yield self._missed(before, rounds, whole)
            forecast, teachers = self._forecast(rounds, whole)
            requests = forecast.range("requests") + Range.exactly(whole.requests)
        elif self._last and not self._worth_a_word(self._last, requests):
            if self._passed(whole):
                self._last = requests
            yield from self._held_against_caps(money)
            return
        first = self._last is None
        self._last, self._seen = requests, len(rounds)
        short = short_of(self._order, teachers, forecast, whole)
        wrong = f"; {self._misses} of this run's forecasts missed" if self._misses else ""
        yield (
            f"forecast {'' if first else 'again '}after {whole.seats:,} prompts: about {requests.p50:,.0f} requests in all "
            f"({requests.p10:,.0f} to {requests.p90:,.0f} in 8 of 10 cases{wrong}){_and_dollars(total)}"
            f"{short and '; '}{short}"
        )
        yield from self._held_against_caps(money)

    def _passed(self, whole: RoundStats) -> bool:
        """More was asked than the last forecast said at most."""
        return self._last is not None and whole.requests > self._last.p90

    @staticmethod
    def _worth_a_word(last: Range, now: Range) -> bool:
        """Its middle lies outside the middle half of the last one's cases, or the band is half as wide."""
        inside = last.p10 * last.p50 <= now.p50**2 <= last.p50 * last.p90
        moved = abs(now.p50 - last.p50) > _MUCH * last.p50
        narrower = now.p10 > 0 and last.p90 * now.p10**2 > last.p10 * now.p90**2
        return moved and not inside or (narrower and last.p90 > (1 + _MUCH) * last.p10)

    def _planned(self) -> Range:
        """Requests, as the plan foretold them."""
        known = self._prior
        if self._others:
            order = self._order
            known = known.learned(
                self._others, order.tasks, order.swing, DRIFT_BETWEEN, HASTE_BETWEEN
            )
        return foresee(self._order, known).range("requests")

    def _missed(self, before: Range, rounds: Sequence[RoundStats], whole: RoundStats) -> str:
        """That the forecast was wrong, and what it had not known."""
        lately = sum(rounds[self._seen :], RoundStats())
        what = "the last forecast" if self._last else "the plan's forecast"
        why = f"{lately.accepted:,} rows came of {lately.seats:,} prompts"
        if lately.near:
            why += f", and {lately.near:,} of {lately.pieces:,} tasks were near a known one"
        return f"{what} was wrong: it said {before.p10:,.0f} to {before.p90:,.0f} requests in 8 of 10 cases; since then {why}"

    def rest(self, rounds: Sequence[RoundStats]) -> Range:
        """Nano-dollars of what is still to be asked after these rounds."""
        forecast, _ = self._forecast(rounds, sum(rounds, RoundStats()))
        return forecast.range("dollars")

    def _forecast(
        self, rounds: Sequence[RoundStats], whole: RoundStats
    ) -> tuple[Forecast, ImaginedTeacher]:
        totals = self._journal.totals(self._recipe, run=self._run, class_="api")
        lost = round(totals.lost / self._order.ceiling) if self._order.ceiling else 0
        rounds = (
            [replace(rounds[0], attempts=totals.attempts, lost=lost), *rounds[1:]] if rounds else []
        )
        others = (
            [replace(one, timed=0, seconds=0.0) for one in self._others]
            if whole.timed
            else self._others
        )
        known = self._prior.learned(
            [*others, *rounds],
            self._order.tasks,
            self._order.swing,
            DRIFT,
            HASTE if whole.timed else HASTE_BETWEEN,
            1.0 + self._misses,
        )
        return foresee(self._order, known, whole if rounds else None), known

    def _held_against_caps(self, money: Range) -> Iterator[str]:
        held = [(cap, self._held(cap)) for cap in self._caps.over("api")]
        short = [(cap, was) for cap, was in held if money.p50 > max(cap.left(was), 0)]
        if not short:
            return
        cap, was = short[0]
        what = (
            f"the rest of this run will cost about {shown(round(money.p50))} ({shown(round(money.p10))} to "
            f"{shown(round(money.p90))} in 8 of 10 cases), and {cap.key} leaves {shown(max(cap.left(was), 0))}"
        )
        if not self._go_on:
            # the last request of the run is sent only where its own worst case still fits
            rest = ceil(money.p90 + self._order.ceiling)
            cures = [more(cap.key, enough(was.spent + was.open + rest)) for cap, was in short]
            raise BudgetReached(
                f"generate: {what}",
                f"{' and '.join(cures)} or lower generate.count, and run "
                "again: nothing is asked twice; or set budget.go_on=true to continue until the cap is reached",
            )
        if not self._warned:
            self._warned = True
            yield f"{what}; budget.go_on is set, so it continues until the cap is reached"

    def _held(self, cap: Cap) -> Totals:
        return self._journal.totals(None if cap.everywhere else self._recipe, class_=cap.class_)


def _and_dollars(total: Range) -> str:
    return (
        f", {shown(round(total.p50))} ({shown(round(total.p10))} to {shown(round(total.p90))})"
        if total.p50
        else ""
    )
