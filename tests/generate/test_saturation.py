"""Few passages hold few ideas: the plan knows it, a run says so at its first forecast, and what it had said wrongly it takes back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.generate.forecast.pilot import Pilot
from alpaca_pipe.generate.forecast.run_out import short_of, yielded
from alpaca_pipe.generate.forecast.saturation import ENDLESS, Saturation
from alpaca_pipe.generate.forecast.simulation import foresee, imagine
from alpaca_pipe.generate.prior import TASK_LIST
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.styles.documents import Documents
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.journal import Journal
from tests.generate.test_forecast import ORDER, estimated, seen
from tests.generate.test_stage import generate

FEW = replace(ORDER, count=256, round_size=8, sources=2)

NOTES = (
    "The clinic opens at eight in the morning and closes at six in the evening. Dogs are vaccinated on Mondays and cats on "
    "Tuesdays. A first visit costs forty euros, a second visit twenty. Doctor Meier looks after horses.\n\n"
    "Animals that had surgery stay for one night. Owners may call at nine to hear how they are. Food is given twice a day. Bring "
    "the vaccination card and the insurance papers, and come ten minutes early. Parking is behind the house.\n"
)
TEXT = (
    "generate: {style: documents, documents: [notes.md], passage: 60, count: COUNT, round_size: 8}"
)
REAL = "teacher: {kind: openai_chat, model: other, base_url: 'http://127.0.0.1:9', price: {in: 1, out: 2}, api_key_env: HOME}\n"


@given(
    ideas=st.floats(20, 1e6),
    skew=st.floats(0.8, 3),
    reworded=st.floats(0, 0.3),
    most=st.floats(0.5, 8),
)
@settings(max_examples=60, deadline=None)
def test_the_seats_until_the_end_are_the_sum_row_by_row(
    ideas: float, skew: float, reworded: float, most: float
) -> None:
    one = Saturation(0.05, 0.4, ideas, skew, reworded, known=10)
    full = one.full(most, 10, 2000, 16)
    end = 2000 if full is None else full
    steps = 4000
    wide = (end - 10) / steps
    rows = sum(wide / (most * one.fresh(10 + (n + 0.5) * wide)) for n in range(steps))
    assert one.seats(most, 10, end) == pytest.approx(rows, rel=0.03)


@given(st.floats(1, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_fewer_are_new_the_more_are_known(ideas: float, less: float, more: float) -> None:
    one = Saturation(0.07, 0.4, ideas, 1.4, 0.02)
    low, high = sorted((less, more))
    assert 0 < one.fresh(high) <= one.fresh(low) <= 1


def test_without_an_end_of_ideas_the_curve_is_that_of_the_released_rows() -> None:
    assert Saturation(0.06, 0.3).ideas == ENDLESS
    assert Saturation(0.06, 0.3).fresh(52_000) == pytest.approx(
        2.718281828 ** -(0.06 * 52**0.3), rel=1e-6
    )


def test_more_passages_give_more() -> None:
    given = [
        yielded(order, imagine(Documents.prior, order))[0]
        for order in (replace(FEW, sources=count) for count in (1, 4, 40))
    ]
    assert given[0] < given[1] < given[2] and 10 < given[0] < 120


def test_two_passages_do_not_promise_256_rows(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(NOTES)
    few = estimated(tmp_path, REAL + TEXT.replace("COUNT", "256"))
    (said,) = [note for note in few.notes if "passages" in note]
    found = re.match(
        r"2 passages mostly give no more than about (\d+) rows, and 256 are wanted", said
    )
    assert found and int(found[1]) < 512 and "more documents bring more" in said
    assert "or nothing new comes" in few.says
    enough = estimated(tmp_path, REAL + TEXT.replace("COUNT", "12"))
    assert not any("mostly give no more" in note for note in enough.notes)


def test_a_run_says_so_at_its_first_forecast(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(NOTES)
    done = generate(tmp_path, TEXT.replace("COUNT", "256"))
    said = " ".join((tmp_path / "printed").read_text().split())
    assert done.summary["accepted"] < 200
    first = said.partition("forecast after 24 prompts")[2].partition("forecast again")[0]
    assert "2 passages mostly give no more than about" in first
    assert said.count("forecast again") <= 3


def test_the_first_miss_is_said_and_no_second_one(tmp_path: Path) -> None:
    """A teacher that was new for 30 prompts, as one with ideas for 3,000 rows is, and then repeats itself."""
    order = replace(ORDER, count=600, round_size=16, sources=20, source_word="seeds")
    fresh = [seen(16, near=0.02, fault=0.0, pool=30 + 63 * part) for part in range(2)]
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        pilot = Pilot(order, imagine(TASK_LIST, order), (), 24, journal, Caps(), "r", "run", True)
        said = list(pilot.renew(fresh))
        assert len(said) == 1 and said[0].startswith("forecast after 32 prompts")
        rounds, told = list(fresh), []
        for part in range(12):
            rounds.append(seen(16, near=0.9, fault=0.0, pool=156 + 6 * part))
            told += list(pilot.renew(rounds))
    wrong = [one for one in told if "was wrong" in one]
    assert wrong and wrong[0] is told[0]
    assert re.search(r"it said \d+ to \d+ requests in 8 of 10 cases", wrong[0])
    assert "tasks were near a known one" in wrong[0]
    assert len(wrong) <= 3, wrong
    assert "of this run's forecasts missed" in told[1]


def test_what_was_seen_says_how_many_ideas_there_are() -> None:
    """Sixty ideas, all as likely: after 55 of them the forecast knows within a third how many rows come."""
    sixty = Saturation(1e-6, 1.0, 60, 1.0, 0.0, known=30)
    pool, rounds = 30.0, []
    while pool < 85:
        new = round(30 * sixty.fresh(pool))
        rounds.append(
            replace(
                seen(8, fault=0.0, pool=round(pool)),
                pieces=30,
                near=30 - new,
                new=new,
                accepted=new,
            )
        )
        pool += max(new, 1)
    whole = sum(rounds, RoundStats())
    known = imagine(Documents.prior, FEW).learned(rounds, 4, FEW.swing, 0.03, 0.12)
    forecast = foresee(FEW, known, whole)
    assert median(forecast.rows) == pytest.approx(60, rel=0.34)
    assert forecast.stalled > 0.9 * len(forecast.rows)
    assert short_of(FEW, known, forecast, whole).startswith(
        "2 passages mostly give no more than about"
    )
