"""The 80 % band over 200 teachers that run out of ideas early, late and never, at the start and when the forecast is renewed on the
way. The priors were set on those of saturating_teachers.py; judged are teachers of three other laws, with seeds of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, median
from types import MappingProxyType
from typing import Any

import pytest

from alpaca_pipe.generate.forecast.pilot import DRIFT, HASTE
from alpaca_pipe.generate.forecast.simulation import Workload, foresee, imagine
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.styles.documents import Documents
from tests.generate import listing_teachers, saturating_teachers
from tests.generate.listing_teachers import ListingTeacher, StretchTeacher, order_of_stretches
from tests.generate.saturating_teachers import KINDS, Teacher, play
from tests.generate.teachers_of_another_kind import cost
from tests.generate.urn_teachers import UrnTeacher
from tests.generate.urn_teachers import order as order_of_urns

PLACES = {"start": 0.0, "pilot": 0.0, "a third": 1 / 3, "two thirds": 2 / 3}  # of the rounds
Law = tuple[Callable[[Random], Workload], Callable[..., Any]]
TUNED: tuple[Law, ...] = ((saturating_teachers.order, Teacher),)
LISTINGS: Law = (listing_teachers.order, ListingTeacher)
JUDGED: tuple[Law, ...] = (
    (order_of_urns, UrnTeacher),
    LISTINGS,
    (order_of_stretches, StretchTeacher),
)
LEAST_OF_FEW, MOST_OF_FEW = 0.6, 0.98
LEAST, MOST = 0.72, 0.92  # what is wanted
# docs/measured.md: of listings taken alone
MEASURED_LESS = {("pilot", "rows"): 0.64, ("two thirds", "tokens_in"): 0.71}
FIGURES: dict[str, Callable[[Workload, RoundStats], float]] = {
    "requests": lambda wanted, seen: float(seen.requests),
    "dollars": cost,
    "tokens_in": lambda wanted, seen: float(seen.in_first),
    "tokens_out": lambda wanted, seen: float(seen.out_first),
    "rows": lambda wanted, seen: float(seen.accepted),
}


@dataclass(frozen=True)
class Told:
    """One forecast and what came of it."""

    kind: str
    place: str
    figure: str
    quantiles: tuple[float, float, float]
    truth: float

    @property
    def covered(self) -> bool:
        return self.quantiles[0] * (1 - 1e-9) <= self.truth <= self.quantiles[2] * (1 + 1e-9)


def check(name: str, teachers: int, laws: Sequence[Law]) -> list[Told]:
    """Every law has as many teachers of each kind."""
    told: list[Told] = []
    numbered = [(law, number) for law in laws for number in range(teachers // len(laws))]
    for (order, make), number in numbered:
        chance = Random(f"{name} {number}")
        wanted = order(chance)
        kind = KINDS[number % len(KINDS)]
        rounds = play(make(chance, kind, wanted))
        whole = sum(rounds, RoundStats())
        before = imagine(Documents.prior, wanted)
        for place, share in PLACES.items():
            seen = (
                0
                if place == "start"
                else max(-(-24 // wanted.round_size), int(share * len(rounds)))
            )
            if seen >= len(rounds):
                continue
            had = sum(rounds[:seen], RoundStats())
            teacher = (
                before.learned(rounds[:seen], wanted.tasks, wanted.swing, DRIFT, HASTE)
                if seen
                else before
            )
            forecast = foresee(wanted, teacher, had if seen else None)
            for figure, of in FIGURES.items():
                paid = 0.0 if figure == "rows" else of(wanted, had)
                truth = of(wanted, whole)
                low, middle, high = forecast.quantiles(figure, (0.1, 0.5, 0.9))
                told.append(
                    Told(kind, place, figure, (paid + low, paid + middle, paid + high), truth)
                )
    return told


def table(told: Sequence[Told]) -> dict[tuple[str, str], float]:
    """Prints what each band covers and how wide it is; answers the former."""
    covered: dict[tuple[str, str], float] = {}
    for figure in [figure for figure in FIGURES if any(one.figure == figure for one in told)]:
        for place in PLACES:
            some = [one for one in told if (one.place, one.figure) == (place, figure)]
            covered[place, figure] = fmean(one.covered for one in some)
            by_kind = ", ".join(
                f"{kind} {fmean(one.covered for one in some if one.kind == kind):.0%}"
                for kind in KINDS
            )
            under = fmean(one.truth < one.quantiles[0] for one in some)
            over = fmean(one.truth > one.quantiles[2] for one in some)
            print(
                f"{figure:<11}{place:<11} {len(some):>3}: P10-P90 covers {covered[place, figure]:.0%} ({by_kind}), below "
                f"{under:.0%}, above {over:.0%}; P90/P10 {median(one.quantiles[2] / one.quantiles[0] for one in some):.2f}, "
                f"truth/P50 {median(one.truth / one.quantiles[1] for one in some):.2f}"
            )
    return covered


def hold(
    covered: Mapping[tuple[str, str], float],
    least: float,
    most: float,
    less: Mapping[tuple[str, str], float] = MappingProxyType({}),
) -> None:
    """less: the places and figures that may cover less than the least, and down to what share."""
    for (place, figure), share in covered.items():
        # Whole rounds: near the end one value alone holds more than 8 of 10 cases, and no band is narrower.
        whole = 0.05 if figure in ("requests", "rows") and place == "two thirds" else 0.0
        low = less.get((place, figure), least)
        assert low <= share <= most + whole, (place, figure, covered)


def test_forty_five_of_other_laws() -> None:
    """Less 2 standard errors of so few."""
    hold(table(check("judged2", 45, JUDGED)), LEAST_OF_FEW, MOST_OF_FEW)


def test_the_bar_is_lower_only_where_it_was_measured_so() -> None:
    hold({("pilot", "rows"): 0.645, ("start", "rows"): 0.8}, LEAST, MOST, MEASURED_LESS)
    for place, figure in (("start", "rows"), ("pilot", "dollars"), ("two thirds", "tokens_out")):
        with pytest.raises(AssertionError):
            hold({(place, figure): 0.71}, LEAST, MOST, MEASURED_LESS)
    with pytest.raises(AssertionError):
        hold({("pilot", "rows"): 0.63}, LEAST, MOST, MEASURED_LESS)
    with pytest.raises(AssertionError):
        hold({("pilot", "rows"): 0.645}, LEAST, MOST)


@pytest.mark.slow
def test_two_hundred_of_each_other_law() -> None:
    """72 to 92 % in every cell: of all together, and of each law but for two cells of listings."""
    each = {law: check("judged2", 200, (law,)) for law in JUDGED}
    hold(table([one for told in each.values() for one in told]), LEAST, MOST)
    for law, told in each.items():
        hold(table(told), LEAST, MOST, MEASURED_LESS if law is LISTINGS else {})


@pytest.mark.slow
def test_two_hundred_of_the_law_that_priors_were_set_on() -> None:
    """Up to 93 %: it is no judge."""
    hold(table(check("saturation", 200, TUNED)), LEAST, MOST + 0.01)
