"""A rented machine: whatever is done to a lease, its slices make exactly its price, and no cap is passed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt, LedgerEntry, Short
from alpaca_pipe.ledger.machine import detect, lease, meter
from alpaca_pipe.ledger.machine.config import IDLE, GpuTable, LeaseTerms, Stated, terms
from alpaca_pipe.ledger.machine.lease import Heartbeat, Lease
from alpaca_pipe.ledger.machine.meter import Meter, MeterTiming
from alpaca_pipe.ledger.manual_entries import enter_by_hand
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.connection import machine_id
from alpaca_pipe.ledger.store.journal import Journal, enter
from alpaca_pipe.ledger.store.migrations import MIGRATIONS
from tests.waiting import until

ROOT = Path(__file__).parents[2]
START = 1_800_000_000_000  # milliseconds
H200 = LeaseTerms("gpu", "1 x H200", per_hour=3_590_000_001)  # an odd price: nothing comes out even


def ledger() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for migration in MIGRATIONS:
        migration(db)
    return db


def of(
    terms: LeaseTerms = H200, run: str = "monday", rental: str = "", origin: int = START
) -> Lease:
    return Lease(run, "alpaca", "box", "1-1-1", rental or f"lease-{run}", origin, terms)


def beat(
    db: sqlite3.Connection,
    mine: Lease,
    at: int,
    phase: str = "train",
    stage: str = "train",
    **options: Any,
) -> None:
    lease.write_beat(db, mine.run, Heartbeat(at, phase, stage, **options))


def sums(db: sqlite3.Connection) -> tuple[int, int, int]:
    row = db.execute("SELECT SUM(settled), SUM(lost), SUM(open) FROM balances").fetchone()
    return row[0] or 0, row[1] or 0, row[2] or 0


def slices(db: sqlite3.Connection, class_: str = "gpu") -> list[dict[str, Any]]:
    found = db.execute(
        "SELECT usage FROM entries WHERE kind = 'settled' AND class = ? ORDER BY id", (class_,)
    )
    return [json.loads(usage) for (usage,) in found]


# ---- the arithmetic


@given(
    steps=st.lists(st.integers(0, 900_000), min_size=1, max_size=20),
    per_hour=st.integers(0, 40 * NANO),
    granularity=st.sampled_from([1, 60, 3600]),
    stages=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_slices_make_exactly_the_price_of_the_whole_lease(
    steps: list[int], per_hour: int, granularity: int, stages: st.DataObject
) -> None:
    with closing(ledger()) as db:
        mine = of(LeaseTerms("gpu", "a box", per_hour=per_hour, granularity=granularity))
        now, until = START, lease.reserve(db, mine, Caps(), "train", START + 600_000, START)
        beat(db, mine, now, lease=mine)
        for step in steps:
            now += step
            stage = stages.draw(st.sampled_from(["train", "evaluate"]))
            beat(db, mine, now, stage=stage)
            assert isinstance(until, int)
            until = lease.extend(db, mine, Caps(), stage, now + 600_000, until)
        lease.close(db, mine)
        lasted = Fraction(now - START, 1000)
        billed = ceil(lasted / granularity) * granularity if granularity > 1 else lasted
        settled, lost, still_open = sums(db)
        assert settled == round(billed * per_hour / 3600)
        assert (lost, still_open) == (0, 0)
        assert sum(Fraction(str(row["seconds"])) for row in slices(db)) == billed


@given(
    cap=st.integers(0, 3 * NANO),
    per_hour=st.integers(1, 40 * NANO),
    granularity=st.sampled_from([1, 60, 3600]),
    steps=st.lists(st.integers(1_000, 700_000), max_size=40),
    watts=st.sampled_from([0.0, 700.0]),
)
@settings(max_examples=200, deadline=None)
def test_no_cap_is_passed_at_any_moment(
    cap: int, per_hour: int, granularity: int, steps: list[int], watts: float
) -> None:
    """The machine obeys: it ends within what is reserved for it, as a meter makes it do."""
    with closing(ledger()) as db:
        terms = LeaseTerms(
            "gpu",
            "a box",
            per_hour=per_hour,
            granularity=granularity,
            watts=watts,
            per_kwh=300_000_000,
        )
        mine, caps, now, refused = of(terms), Caps(total=cap), START, False
        answer = lease.reserve(db, mine, caps, "train", START + 600_000, START + 1_000)
        if isinstance(answer, Short):
            assert sums(db) == (0, 0, 0)
            assert answer.ceiling > cap
            return
        until = answer
        beat(db, mine, now, lease=mine)
        for step in steps:
            assert sum(sums(db)) <= cap
            now = min(now + step, until)
            beat(db, mine, now)
            answer = lease.extend(db, mine, caps, "train", now + 600_000, until)
            assert sum(sums(db)) <= cap
            if isinstance(answer, Short):
                refused = True
                break
            until = answer
        beat(db, mine, until if refused else now)
        lease.close(db, mine)
        assert sum(sums(db)) <= cap
        assert not db.execute("SELECT 1 FROM entries WHERE kind = 'anomaly'").fetchone()
        if refused and granularity == 1 and not watts:
            assert (
                cap - sums(db)[0] <= per_hour // 3600 + 1
            )  # less than another second of it was left


@given(marks=st.lists(st.tuples(st.booleans(), st.integers(1, 400_000)), min_size=2, max_size=25))
@settings(max_examples=100, deadline=None)
def test_two_runs_on_one_machine_bill_no_second_twice(marks: list[tuple[bool, int]]) -> None:
    with closing(ledger()) as db:
        pair = [of(run=run, rental="lease-shared") for run in ("monday", "tuesday")]
        now, until = START, []
        for mine in pair:
            answer = lease.reserve(db, mine, Caps(), "train", START + 600_000, START)
            assert isinstance(answer, int)
            until.append(answer)
            beat(db, mine, START, lease=mine)
        for first, step in marks:
            now += step
            beat(db, pair[first], now)
            answer = lease.extend(db, pair[first], Caps(), "train", now + 600_000, until[first])
            assert isinstance(answer, int)
            until[first] = answer
        for mine in pair:
            beat(db, mine, now)
            lease.close(db, mine)
        assert sums(db) == (round(Fraction(now - START, 3_600_000) * H200.per_hour), 0, 0)


def test_a_boot_is_billed_once_whatever_runs_on_it() -> None:
    with closing(ledger()) as db:
        for run, began, ended in (
            ("monday", 3_600_000, 4_200_000),
            ("tuesday", 9_000_000, 9_600_000),
        ):
            mine = of(run=run, rental="lease-boot")
            billed = lease.billed_until(db, mine)
            beat(db, mine, billed, "boot" if billed == START else "idle", "boot", lease=mine)
            beat(db, mine, START + began, "train")
            beat(db, mine, START + ended, "train")
            lease.close(db, mine)
        assert sums(db)[0] == round(Fraction(9_600_000, 3_600_000) * H200.per_hour)
        assert [row["phases"] for row in slices(db)] == [
            {"boot": 3600.0, "train": 600.0},
            {"idle": 4800.0, "train": 600.0},
        ]


def test_a_machine_that_runs_on_past_its_slice_is_an_anomaly() -> None:
    with closing(ledger()) as db:
        mine = of()
        assert lease.reserve(db, mine, Caps(), "train", START + 60_000, START) == START + 60_000
        beat(db, mine, START, lease=mine)
        beat(db, mine, START + 90_000)
        lease.close(db, mine)
        assert sums(db) == (mine.cost(START + 90_000), 0, 0)  # what it cost is what it cost
        (note,) = db.execute("SELECT note FROM entries WHERE kind = 'anomaly'").fetchone()
        assert "ran on past what was reserved" in note


def test_the_beats_are_append_only() -> None:
    with closing(ledger()) as db:
        beat(db, of(), START)
        for statement in ("UPDATE beats SET at = 'x'", "DELETE FROM beats"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)


# ---- what dead runs leave


def test_a_cut_lease_is_closed_at_its_last_beat_and_flagged() -> None:
    with closing(ledger()) as db:
        mine = of()
        lease.reserve(db, mine, Caps(), "train", START + 600_000, START)
        beat(db, mine, START, lease=mine)
        beat(db, mine, START + 50_000)
        beat(db, mine, START + 61_000, "save")
        assert [cut.run for cut in lease.recover(db, "alpaca", "box")] == ["monday"]
        assert lease.recover(db, "alpaca", "box") == []
        assert sums(db) == (mine.cost(START + 61_000), 0, 0)
        assert slices(db)[0]["phases"] == {"train": 61.0}
        assert db.execute("SELECT note FROM entries WHERE kind = 'settled'").fetchone() == (
            lease.CUT_OFF,
        )


def test_a_machine_that_gave_no_sign_of_life_costs_nothing() -> None:
    with closing(ledger()) as db:
        lease.reserve(db, of(), Caps(), "train", START + 600_000, START)
        assert sums(db)[2] > 0
        assert lease.recover(db, "alpaca", "box") == []
        assert sums(db) == (0, 0, 0)
        assert db.execute("SELECT kind FROM entries ORDER BY id DESC LIMIT 1").fetchone() == (
            "released",
        )


def test_the_lease_of_another_recipe_is_left_alone_while_its_process_lives() -> None:
    with closing(ledger()) as db:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
            mine = Lease(
                "monday",
                "other",
                "box",
                detect.process_name(child.pid),
                "lease-monday",
                START,
                H200,
            )
            beat(db, mine, START, lease=mine)
            assert lease.recover(db, "alpaca", "box") == []
            assert lease.joined(db, "box", H200) == mine
            child.kill()
        assert lease.joined(db, "box", H200) is None
        assert (
            lease.recover(db, "alpaca", "another box") == []
        )  # nobody can look at its processes from there
        assert lease.recover(db, "alpaca", "box") == [mine]


# ---- the meter, in real processes

METERS = """
import sys, time
from pathlib import Path
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.manual_entries import enter_by_hand
from alpaca_pipe.ledger.machine.config import LeaseTerms
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.machine.meter import Meter, MeterTiming
path, recipe, run, since = sys.argv[1:5]
terms = LeaseTerms("gpu", "1 x H200", per_hour=3_590_000_000_000, since=int(since) or None, rental="lease-boot" * bool(int(since)))
with Journal.open(Path(path)) as journal:
    meter = Meter(journal, terms, Caps(), recipe=recipe, run=run, stage="train", stop=print, tempo=MeterTiming(0.03, 0.5, 0.2))
    meter.start()
    meter.begin("train")
    print("on", flush=True)
    sys.stdin.readline()
    meter.close()
"""


def start(path: Path, recipe: str, run: str, since: int = 0) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", METERS, str(path), recipe, run, str(since)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout and child.stdout.readline() == "on\n"
    return child


def beats(path: Path) -> int:
    with Journal.open(path, read_only=True) as journal, journal.read() as db:
        return int(db.execute("SELECT COUNT(*) FROM beats").fetchone()[0])


def of_class(path: Path, class_: str = "gpu") -> list[LedgerEntry]:
    with Journal.open(path, read_only=True) as journal:
        return [
            entry
            for entry in journal.entries()
            if entry.class_ == class_ and entry.kind == "settled"
        ]


class Hand:
    """A clock that is moved by hand, and looks of the meter at the moments that it is moved to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(meter, "_ticks", lambda: self.seconds)

    def after(self, seconds: float, running: Meter | None = None) -> None:
        self.seconds += seconds
        if running is not None:
            running.look()


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    return Hand(monkeypatch)


BY_HAND = MeterTiming(every=3600, ahead=1.0, grace=0.5)  # it looks only when it is told to


def test_kill_9_then_the_next_run_closes_the_lease_at_its_last_beat(path: Path) -> None:
    with start(path, "alpaca", "monday") as child:
        until(lambda: beats(path) >= 5, child)
        child.send_signal(signal.SIGKILL)
    with Journal.open(path) as journal:
        assert journal.totals().open > 0
        assert meter.recover(journal, "alpaca") == 1
        assert meter.recover(journal, "alpaca") == 0
        journal.check()
        totals = journal.totals("alpaca")
        assert totals.open == totals.lost == totals.pending == 0
        with journal.read() as db:
            (last,) = db.execute("SELECT MAX(at) FROM beats").fetchone()
            (origin,) = db.execute("SELECT detail FROM beats ORDER BY id LIMIT 1").fetchone()
    lasted = (
        round(datetime.fromisoformat(last).timestamp() * 1000)
        - json.loads(origin)["lease"]["origin"]
    )
    assert lasted > 0
    assert totals.settled == round(Fraction(lasted, 3_600_000) * 3_590_000_000_000)
    assert of_class(path)[-1].note == lease.CUT_OFF


def test_what_another_run_has_settled_up_to_is_the_furthest_moment_in_whatever_order_the_rows_came() -> (
    None
):
    with closing(ledger()) as db:
        mine = of()
        for number, until in enumerate(
            (START + 60_000, START + 20_000), start=1
        ):  # a merge appends the older row
            attempt = Attempt("box", "alpaca", "monday", "train", mine.rental, number, 0, "")
            enter(db, attempt, "settled", 1, class_="gpu", usage={"until": until})
        assert lease.billed_until(db, mine) == START + 60_000


def test_a_meter_that_cannot_write_stops_the_run_before_its_reservation_is_used_up(
    path: Path, hand: Hand
) -> None:
    asked: list[bool] = []
    with (
        Journal.open(path) as journal,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        running = Meter(
            journal,
            H200,
            Caps(),
            recipe="alpaca",
            run="monday",
            stage="train",
            stop=asked.append,
            tempo=MeterTiming(3600, 0.8, 0.4),
        )
        running.start()
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON beats BEGIN SELECT RAISE(ABORT, 'no more beats'); END"
        )
        for when, told in ((0.5, []), (0.65, [False]), (0.7, [False]), (0.77, [False, True])):
            hand.after(1000.0 + when - hand.seconds, running)
            assert asked == told, when
        assert running.refused is not None and "cannot enter what it costs: no more beats" in str(
            running.refused
        )
        other.execute("DROP TRIGGER no")
        running.close()
        assert journal.totals().open == 0


def test_two_processes_on_one_machine_are_one_lease(path: Path) -> None:
    with start(path, "alpaca", "monday") as one, start(path, "vicuna", "tuesday") as two:
        together = beats(path)
        until(lambda: beats(path) >= together + 4)
        one.communicate("\n")
        alone = beats(path)
        until(lambda: beats(path) >= alone + 2)
        two.communicate("\n")
    found = of_class(path)
    assert {entry.request for entry in found} == {"lease-monday"}
    assert {entry.recipe for entry in found} == {"alpaca", "vicuna"}
    seconds = sum(entry.usage["seconds"] for entry in found)
    with Journal.open(path, read_only=True) as journal, journal.read() as db:
        (first,) = db.execute("SELECT detail FROM beats ORDER BY id LIMIT 1").fetchone()
    origin = json.loads(first)["lease"]["origin"]
    assert round(seconds * 1000) == max(entry.usage["until"] for entry in found) - origin  # once
    assert sum(entry.nanodollars for entry in found) == round(
        Fraction(str(round(seconds, 3))) * 3_590_000_000_000 / 3600
    )


def test_a_later_run_on_the_same_boot_goes_on_where_the_books_end(path: Path) -> None:
    booted = round((time.time() - 3600) * 1000)
    for run in ("monday", "tuesday"):
        with start(path, "alpaca", run, booted) as child:
            child.communicate("\n")
    found = of_class(path)
    assert found[0].stage == "boot" and found[0].usage["phases"]["boot"] >= 3600
    idle = [entry for entry in found if entry.stage == "idle"]
    assert len(idle) == 1 and idle[0].usage["phases"]["idle"] > 0
    seconds = sum(entry.usage["seconds"] for entry in found)
    assert found[-1].usage["until"] - booted == round(seconds * 1000)


def test_a_run_is_stopped_while_it_can_still_store_its_work(path: Path, hand: Hand) -> None:
    """A cap of two seconds: it is asked to stop 0.5 s before they are over, and is not past the cap at its end."""
    calls: list[bool] = []
    per_second = 1_000_000
    caps = Caps(gpu=2 * per_second)
    with Journal.open(path) as journal:
        running = Meter(
            journal,
            LeaseTerms("gpu", "1 x H200", per_hour=3600 * per_second),
            caps,
            recipe="alpaca",
            run="monday",
            stage="train",
            stop=calls.append,
            tempo=BY_HAND,
        )
        running.start()
        running.begin("train")
        while running.refused is None:
            hand.after(0.05, running)
            totals = journal.totals("alpaca")
            assert totals.spent + totals.open <= 2 * per_second
        running.close()
        totals = journal.totals("alpaca")
    assert calls == [False] and hand.seconds - 1000 == pytest.approx(1.5)
    assert totals.settled == 1.5 * per_second and totals.open == 0
    assert "raise budget.gpu to $0.0030 and run again" in str(
        running.refused
    ) and "one more dollar buys about 17 minutes" in str(running.refused)


def test_four_fifths_of_a_budget_are_said_once_with_the_minutes_that_are_left(path: Path) -> None:
    said: list[str] = []
    other = Attempt("box", "alpaca", "sunday", "train", "lease-sunday", 1, 0, "")
    with Journal.open(path) as journal:
        running = Meter(
            journal,
            LeaseTerms("gpu", "1 x H200", per_hour=6 * NANO),
            Caps(gpu=10 * NANO, total=100 * NANO),
            recipe="alpaca",
            run="monday",
            stage="sow",
            stop=print,
            say=said.append,
        )
        running.start()
        for number, stage in enumerate(
            ("load", "train", "evaluate"), start=1
        ):  # $3 more each time: 30 %, 60 %, 90 %
            assert said == []
            journal.write(
                lambda db, number=number: enter(
                    db, replace(other, number=number), "settled", 3 * NANO, class_="gpu"
                )
            ).result()
            running.begin(stage)
        running.begin("export")
        running.close()
    assert [sentence.partition(": $9.0")[0] for sentence in said] == [
        "80 % of budget.gpu ($10.00) is used"
    ]
    assert "the rest is about 10 minutes of 1 x H200" in said[0]


def test_a_machine_that_the_cap_does_not_allow_is_not_begun(path: Path) -> None:
    with Journal.open(path) as journal:
        with pytest.raises(UserError, match=r"the budget of \$0.1000 \(budget.gpu\) is reached"):
            Meter(
                journal,
                H200,
                Caps(gpu=NANO // 10),
                recipe="alpaca",
                run="monday",
                stage="train",
                stop=print,
            )
        assert journal.totals().open == 0


@pytest.mark.parametrize(("of", "slice_"), [("gpu", "$7.20"), ("total", "$14.40")])
def test_a_cure_has_electricity_in_only_where_the_cap_counts_it(
    path: Path, of: str, slice_: str
) -> None:
    """$36 an hour, and $36 of electricity: 720 s ahead of a cap on machines are $7.20."""
    terms = LeaseTerms("gpu", "box", per_hour=36 * NANO, watts=1000, pue=1.0, per_kwh=36 * NANO)
    with Journal.open(path) as journal, pytest.raises(UserError) as caught:
        Meter(
            journal,
            terms,
            Caps(**{of: NANO // 10}),
            recipe="alpaca",
            run="monday",
            stage="train",
            stop=print,
        )
    assert f"raise budget.{of} to {slice_} " in caught.value.cure


def test_a_free_machine_keeps_its_minutes(path: Path, hand: Hand) -> None:
    with Journal.open(path) as journal:
        running = Meter(
            journal, IDLE, Caps(total=0), recipe="alpaca", run="monday", stage="sow", stop=print
        )
        running.start()
        for stage in ("sow", "reap"):
            running.begin(stage, "idle")
            hand.after(60)
        running.close()
    minutes = {entry.stage: entry.usage["seconds"] / 60 for entry in of_class(path, "machine")}
    assert minutes == {"sow": 1, "reap": 1}
    found = of_class(path, "machine")
    assert not any(entry.nanodollars for entry in found)


# ---- the table

DAY = date(2026, 11, 21)


def test_the_rate_is_the_recipes_own_or_one_of_the_books() -> None:
    assert GpuTable().rate(DAY) is None
    assert GpuTable(per_hour=Decimal("1.5")).rate(DAY) == Stated("", Decimal("1.5"), 1)
    seen = (detect.DetectedGpu("NVIDIA H200", "GPU-1"),)
    found, named = GpuTable().rate(DAY, seen), GpuTable(name="H200").rate(DAY)
    assert found == named and found is not None and found.gpu == "H200" and found.per_hour > 1
    with pytest.raises(
        UserError,
        match="no rate is known for the GPU of this machine, 'NVIDIA GeForce GT 710' - say what",
    ):
        GpuTable().rate(DAY, (detect.DetectedGpu("NVIDIA GeForce GT 710", "GPU-1"),))
    with pytest.raises(UserError, match="no rate is known for the GPU 'H2000'"):
        GpuTable(name="H2000").rate(DAY)


def test_a_run_without_steps_for_the_gpu_is_billed_where_its_machine_is_rented() -> None:
    table = GpuTable(per_hour=Decimal(2), count=8)
    assert terms(table, DAY, on_gpu=False) == terms(table, DAY, on_gpu=True)
    assert terms(GpuTable(), DAY, on_gpu=False).per_hour == 0
    assert terms(table, DAY, on_gpu=True).per_hour == 16 * NANO
    since = datetime(2026, 11, 20, 8, tzinfo=UTC)
    rented = terms(table.model_copy(update={"lease_start": since}), DAY, on_gpu=False)
    assert (rented.since, rented.per_hour) == (round(since.timestamp() * 1000), 16 * NANO)
    assert rented.rental.startswith("lease-")


@pytest.mark.skipif(not Path("/proc/1/stat").exists(), reason="no /proc on this system")
def test_boot_is_the_start_of_this_machine() -> None:
    booted = detect.booted()
    kernel = float(
        next(
            line.split()[1]
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime")
        )
    )
    assert booted is not None and kernel - 2 <= booted <= time.time()
    found = terms(GpuTable(per_hour=Decimal(1), lease_start="boot"), DAY, on_gpu=True)
    assert found.since is not None and abs(found.since / 1000 - booted) < 1
    assert (
        found.rental
        == terms(GpuTable(per_hour=Decimal(1), lease_start="boot"), DAY, on_gpu=False).rental
    )


def test_a_time_without_a_zone_and_one_to_come_are_refused() -> None:
    with pytest.raises(ValidationError, match="write it with Z or an offset"):
        GpuTable.model_validate_json('{"lease_start": "2026-11-21T08:00:00"}')
    future = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(UserError, match="has not come yet"):
        terms(GpuTable(lease_start=future), DAY, on_gpu=True)


def test_nothing_of_the_table_is_part_of_the_identity() -> None:
    assert GpuTable(name="H200", per_hour=Decimal(3), lease_start="boot").identity() == {}


def test_a_lease_reads_back_as_it_was_written() -> None:
    mine = Lease("monday", "alpaca", machine_id(), "1-2-3", "lease-monday", START, H200)
    assert Lease.of_row(json.loads(json.dumps(mine.to_row()))) == mine


# ---- what no meter sees


@pytest.mark.parametrize(
    "sort, amount, cost",
    [
        ("human", "30", 20 * NANO),
        ("storage", "150", NANO // 2),
        ("egress", "2.5", NANO // 4),
        ("human", "0.001", 666_667),
    ],
)
def test_minutes_and_gigabytes_are_entered_by_hand(
    path: Path, sort: str, amount: str, cost: int
) -> None:
    table = GpuTable(
        human_per_hour=Decimal(40),
        storage_per_gb_month=Decimal("0.1"),
        egress_per_gb=Decimal("0.1"),
    )
    with Journal.open(path) as journal:
        assert enter_by_hand(journal, "alpaca", sort, Decimal(amount), table) == cost
        assert (
            enter_by_hand(journal, "alpaca", sort, Decimal(amount), GpuTable()) == 0
        )  # nobody asks for it
        assert journal.totals("alpaca").settled == cost
        journal.check()


def test_only_what_no_meter_sees_is_entered_by_hand(path: Path) -> None:
    with Journal.open(path) as journal:
        for sort, amount in (("gpu", 1), ("human", 0), ("human", -5)):
            with pytest.raises(UserError):
                enter_by_hand(journal, "alpaca", sort, Decimal(amount), GpuTable())
