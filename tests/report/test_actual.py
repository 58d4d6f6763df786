"""Forecast and actual side by side, and unit costs: from done.json and a real ledger."""

from __future__ import annotations

import pytest

from alpaca_pipe.core.files import read_json, write_json, write_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.machine.energy import assumed
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal, enter
from alpaca_pipe.recipe.estimates import row_of
from alpaca_pipe.recipe.stage import Estimate
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.forecast_vs_actual import (
    compared,
    costs,
    planned_minutes,
    spent,
    unit_costs,
)
from alpaca_pipe.report.funnel import funnel
from alpaca_pipe.report.report_page import render
from alpaca_pipe.report.run_files import left
from alpaca_pipe.report.summary import _money, close
from tests.report.conftest import PRICE, Workspace, buy

COST = 1000 * 150 + 333 * 600  # nano-dollars of one reply
KEYS = [f"r1-{n:032x}" for n in range(4)]


def plan(workspace: Workspace, kind: str, estimate: Estimate) -> None:
    """As the runner keeps it."""
    file = workspace.root / "store" / workspace.steps[kind] / "done.json"
    seal = read_json(file)
    del seal["planned_minutes"]
    write_json(file, seal | {"planned": row_of(estimate)})


def rent(workspace: Workspace, stage: str, nanodollars: int) -> None:
    with Journal.open(workspace.root / "ledger.sqlite") as journal:
        attempt = Attempt("here", "tea", "run-1", stage, f"lease-{stage}", 1, nanodollars, "")
        journal.write(lambda db: enter(db, attempt, "reserved", nanodollars, class_="gpu")).result()
        journal.write(
            lambda db: enter(
                db, attempt, "settled", nanodollars, class_="gpu", usage={"seconds": 240}
            )
        ).result()


def test_what_was_planned_stands_beside_what_was(workspace: Workspace) -> None:
    buy(workspace.root, KEYS)
    plan(
        workspace,
        "generate",
        Estimate(
            Range(1, 1.2, 1.4),
            "three rounds",
            "on priors",
            requests=Range(3, 4, 5),
            tokens_in=Range.about(4000, 1.5),
            tokens_out=Range.about(1000, 1.5),
            api=Range.about(4 * COST, 2),
        ),
    )
    found = left(workspace.root, "tea")
    generate = compared(found, spent(found))[0]
    assert generate.kind == "generate" and generate.rests_on == "on priors"
    assert {one.name: (one.actual, one.inside) for one in generate.measures} == {
        "minutes": (1.5, False),
        "requests": (4, True),
        "tokens in": (4000, True),
        "tokens out": (4 * 333, True),
        "dollars": (4 * COST, True),
    }
    assert planned_minutes(found.step("generate")) == 1.2
    page = render(gather(workspace.root, "tea"))
    assert "Forecast and actual" in page and "4 of 5 figures lay between P10 and P90" in page
    assert "That of generate rested on priors." in page


def test_the_report_says_what_was_drawn_and_how_that_is_known(workspace: Workspace) -> None:
    buy(workspace.root, KEYS)
    assert gather(workspace.root, "tea").money.energy == ""  # type: ignore[union-attr]
    with Journal.open(workspace.root / "ledger.sqlite") as journal:
        drawn = Attempt("here", "tea", "run-1", "train", "lease-train-energy", 1, 0, "")
        usage = assumed(2, 250, pue=1.0, kg_per_kwh=0.4).usage()
        journal.write(
            lambda db: enter(db, drawn, "settled", 0, class_="energy", usage=usage)
        ).result()
    page = render(gather(workspace.root, "tea"))
    assert "Energy: 0.5 kWh (0.5 assumed from the power limit), 0.2 kg CO2e." in page


def test_a_step_of_the_first_versions_has_its_planned_minutes_only(workspace: Workspace) -> None:
    buy(workspace.root, KEYS)
    facts = gather(workspace.root, "tea")
    assert [step.planned for step in facts.steps] == [2.0] * 4
    assert "Forecast and actual" not in render(facts)


def test_money_of_the_machine_is_a_steps_too(workspace: Workspace) -> None:
    rent(workspace, "train", 250_000_000)
    plan(workspace, "train", Estimate(Range.about(4, 2), gpu=Range.about(3e8, 2)))
    found = left(workspace.root, "tea")
    train = next(step for step in compared(found, spent(found)) if step.kind == "train")
    assert {one.name: one.actual for one in train.measures} == {
        "minutes": 4.0,
        "dollars": 250_000_000,
    }


def test_only_the_run_that_sealed_a_step_is_compared(workspace: Workspace) -> None:
    buy(workspace.root, KEYS[:1])
    buy(workspace.root, KEYS[1:], run="run-0")
    found = left(workspace.root, "tea")
    assert {one.name: one.actual for one in compared(found, spent(found))[0].measures}[
        "requests"
    ] == 1


def test_this_runs_money_is_not_taken_for_that_of_all_runs(workspace: Workspace) -> None:
    """Two of four replies were bought by an earlier run: each sum is named, the plan is of this run, the rows' price of both."""
    seats = [{"keys": [key], "pieces": 1, "accepted": 1} for key in KEYS[:4]]
    write_jsonl(workspace.root / "store" / workspace.steps["generate"] / "seats.jsonl", seats)
    buy(workspace.root, KEYS[:2])
    assert "in this run" not in next(_money(left(workspace.root, "tea")))
    buy(workspace.root, KEYS[2:4], run="run-0")
    buy(workspace.root, ["r1-of-no-row"], run="run-0")
    plan(workspace, "generate", Estimate(Range.about(4, 2), api=Range.about(2 * COST, 2)))
    found = left(workspace.root, "tea")
    first, second, *_ = _money(found)
    assert first.startswith(f"money       {shown(2 * COST)} in this run; planned {shown(2 * COST)}")
    assert second.split() == f"{shown(5 * COST)} in all runs of this recipe together".split()
    assert costs(found, spent(found), funnel(found)).kept_example == 4 * COST / 5


def test_what_brought_no_row_is_of_this_runs_prompts(workspace: Workspace) -> None:
    """An earlier run of the recipe lost a request and bought replies that no row of this run rests on."""
    seats = [{"keys": [key], "pieces": 2, "accepted": 1} for key in KEYS[:2]]
    write_jsonl(workspace.root / "store" / workspace.steps["generate"] / "seats.jsonl", seats)
    buy(workspace.root, KEYS[:2])
    before = left(workspace.root, "tea")
    own = costs(before, spent(before), funnel(before)).wasted
    buy(workspace.root, ["r1-of-no-row"], lost="r1-lost-by-another-run", run="run-0")
    found = left(workspace.root, "tea")
    assert costs(found, spent(found), funnel(found)).wasted == own
    assert own.keys() == {"rejected"}


def test_unit_costs(workspace: Workspace) -> None:
    """8 pieces came and 5 were kept; one request of unknown outcome; 250M nano-dollars for 2 x 4,000 trained tokens."""
    buy(workspace.root, KEYS[:3], lost=KEYS[3])
    rent(workspace, "train", 250_000_000)
    log = workspace.root / "store" / workspace.steps["train"] / "loss.jsonl"
    log.write_text(
        "".join(
            f'{{"which": "{which}", "step": {step}, "loss": 1.0, "tokens": {2000 * step}}}\n'
            for which in ("tuned", "control")
            for step in (1, 2)
        )
    )
    found = left(workspace.root, "tea")
    lost = PRICE.worst(2000, 1000)
    paid = 3 * COST + lost
    answer = costs(found, spent(found), funnel(found))
    assert answer.kept_example == paid / 5
    assert answer.trained_million == pytest.approx(250_000_000 / 8000 * 1e6)
    assert answer.wasted == {
        "lost": pytest.approx(lost / paid),
        "rejected": pytest.approx(3 * COST / paid * 3 / 8),
    }
    said = " ".join(unit_costs(answer))
    assert (
        "for each kept example" in said
        and "brought no row" in said
        and "for a million trained tokens" in said
    )
    assert "for each kept example" in render(gather(workspace.root, "tea"))
    assert "for each kept example" in "\n".join(close(workspace.root, "tea"))


def test_refusals_that_cost_nothing_waste_nothing(workspace: Workspace) -> None:
    """Three of eight pieces brought no row: two of them were refused before anything was generated."""
    bought = [f"r1-{n:032x}" for n in range(6)]
    buy(workspace.root, bought)
    seats = [{"keys": [key], "pieces": 1, "accepted": int(key != bought[0])} for key in bought]
    seats += [{"keys": [f"r1-{n:032x}"], "pieces": 1, "accepted": 0} for n in (6, 7)]
    write_jsonl(workspace.root / "store" / workspace.steps["generate"] / "seats.jsonl", seats)
    found = left(workspace.root, "tea")
    rows = funnel(found)
    wasted = costs(found, spent(found), rows).wasted
    after = rows.last / rows.stretches[0].kept
    assert wasted == {"rejected": pytest.approx(1 - 5 / 6 * after)}


def test_anomalies_are_said_at_the_end_of_a_run_each_kind_once(workspace: Workspace) -> None:
    buy(workspace.root, KEYS)
    with Journal.open(workspace.root / "ledger.sqlite") as journal:
        for number, key in enumerate(KEYS[:3]):
            attempt = Attempt("there", "tea", "run-1", "generate", key, 1, COST, "")
            note = "the server says it served 'other'" if number else f"it bills {number}7 dollars"
            journal.write(
                lambda db, attempt=attempt, note=note: enter(db, attempt, "anomaly", 0, note=note)
            ).result()
    said = [line.split("anomalies")[-1].strip() for line in close(workspace.root, "tea")]
    assert "the server says it served 'other' (and 1 more like it)" in said
    assert "it bills 07 dollars" in said


def test_a_reply_that_was_bought_twice_is_waste(workspace: Workspace) -> None:
    buy(workspace.root, KEYS[:2])
    with Journal.open(workspace.root / "ledger.sqlite") as journal:
        twice = Attempt("there", "tea", "run-1", "generate", KEYS[0], 2, COST, "")
        journal.write(lambda db: enter(db, twice, "reserved", COST)).result()
        journal.write(
            lambda db: enter(
                db, twice, "settled", COST, usage={"uncached_in": 1000, "visible_out": 333}
            )
        ).result()
    found = left(workspace.root, "tea")
    assert costs(found, spent(found), funnel(found)).wasted["retried"] == pytest.approx(1 / 3)


def test_a_free_teacher_has_no_unit_costs(workspace: Workspace) -> None:
    found = left(workspace.root, "tea")
    assert list(unit_costs(costs(found, spent(found), funnel(found)))) == []


def test_a_copy_without_its_ledger_still_compares_minutes(workspace: Workspace) -> None:
    plan(workspace, "curate", Estimate(Range.about(1.4, 2)))
    found = left(workspace.root, "tea")
    assert not found.ledger.exists()
    curate = next(step for step in gather(workspace.root, "tea").compared if step.kind == "curate")
    assert [(one.name, one.inside) for one in curate.measures] == [("minutes", True)]
