"""The 90 % band covers the truth for at least 85 % of 200 simulated teachers of another kind, in dollars and requests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, median

import pytest

from alpaca_pipe.generate.forecast.pilot import DRIFT, HASTE
from alpaca_pipe.generate.forecast.simulation import foresee, imagine
from alpaca_pipe.generate.prior import ONE_BY_ONE, TASK_LIST
from alpaca_pipe.generate.round_stats import RoundStats
from tests.generate.teachers_of_another_kind import Teacher, cost, order, play

TEACHERS = 200
EVERY_DAY = 80  # of them, in the tests of every day
_FOUND = (0.05, 0.1, 0.5, 0.9, 0.95)


@dataclass(frozen=True)
class Found:
    """One forecast and what came of it."""

    rests_on: str
    figure: str
    quantiles: tuple[float, ...]
    truth: float

    @property
    def covered(self) -> bool:
        return self.quantiles[0] <= self.truth <= self.quantiles[-1]


def check(name: str, lengths: Sequence[float], most: int, teachers: int = TEACHERS) -> list[Found]:
    """Forecasts for so many teachers: before anything is known, and after a pilot of 20 to 50 prompts."""
    found: list[Found] = []
    for number in range(teachers):
        chance = Random(f"{name} {number}")
        wanted = order(chance, most)
        rounds = play(Teacher(chance, lengths), wanted)
        whole, first, taken, wait = (
            sum(rounds, RoundStats()),
            RoundStats(),
            0,
            chance.randint(20, 50),
        )
        while taken < len(rounds) and first.seats < wait:
            first, taken = first + rounds[taken], taken + 1
        before = imagine(ONE_BY_ONE if wanted.follows else TASK_LIST, wanted)
        forecasts = [("priors", foresee(wanted, before), RoundStats())]
        if taken < len(rounds):
            after = before.learned(rounds[:taken], wanted.tasks, wanted.swing, DRIFT, HASTE)
            forecasts.append(("pilot", foresee(wanted, after, first), first))
        for rests_on, forecast, had in forecasts:
            for figure, paid, truth in (
                ("requests", float(had.requests), float(whole.requests)),
                ("dollars", cost(wanted, had), cost(wanted, whole)),
            ):
                quantiles = tuple(paid + value for value in forecast.quantiles(figure, _FOUND))
                found.append(Found(rests_on, figure, quantiles, truth))
    return found


def table(found: Sequence[Found]) -> dict[tuple[str, str], float]:
    """Prints the share covered by each band, and how wide the 90 % band is; answers the former."""
    covered: dict[tuple[str, str], float] = {}
    for key in sorted({(one.rests_on, one.figure) for one in found}):
        some = [one for one in found if (one.rests_on, one.figure) == key]
        covered[key] = fmean(one.covered for one in some)
        inner = fmean(one.quantiles[1] <= one.truth <= one.quantiles[3] for one in some)
        middle = median(one.truth / one.quantiles[2] for one in some)
        print(
            f"{key[0]:<7} {key[1]:<9} {len(some)} teachers: P5-P95 covers {covered[key]:.1%}, P10-P90 {inner:.1%}; "
            f"P95/P5 {median(one.quantiles[-1] / one.quantiles[0] for one in some):.2f}, truth/P50 {middle:.2f}"
        )
    return covered


def test_the_band_covers_teachers_of_another_kind() -> None:
    covered = table(check("band", (), 3000, EVERY_DAY))
    assert min(covered.values()) >= 0.85, covered


@pytest.mark.slow
def test_and_two_hundred_of_them() -> None:
    covered = table(check("band", (), 3000))
    assert min(covered.values()) >= 0.85, covered


def test_a_vain_band_would_be_found_out() -> None:
    """The check can fail: were the band half as wide around its middle, it would not cover."""
    found = check("vain", (), 2000, 60)
    halves = [
        one.quantiles[2] - (one.quantiles[2] - one.quantiles[0]) / 3
        <= one.truth
        <= one.quantiles[2] + (one.quantiles[-1] - one.quantiles[2]) / 3
        for one in found
    ]
    assert fmean(halves) < 0.8


@pytest.mark.slow
def test_with_the_lengths_of_the_released_rows(data: Path) -> None:
    rows = json.loads(gzip.decompress((data / "alpaca_data.json.gz").read_bytes()))
    lengths = [sum(map(len, row.values())) / 4.2 for row in rows]
    covered = table(check("released", lengths, 20_000))
    assert min(covered.values()) >= 0.85, covered


@pytest.mark.slow
def test_up_to_a_whole_alpaca() -> None:
    covered = table(check("whole", (), 52_000))
    assert min(covered.values()) >= 0.85, covered
