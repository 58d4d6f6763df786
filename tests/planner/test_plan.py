"""`plan` prices a run before it starts: ranges, memory, budget, what would be cheaper; and it touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import PriceTable, price_of
from alpaca_pipe.planner.cheapest import Offer
from alpaca_pipe.planner.plan_summary import PlanSummary, look
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.workspace import Workspace
from tests.report.conftest import buy

DOLLARS = 1 / NANO
PAID = """
teacher: {kind: openai_chat, model: gpt-4.1-mini}
generate: {count: 1000}
curate: {held_out: 100}
"""
TUNED = (
    PAID
    + """
base: {model: huggyllama/llama-7b}
gpu: {name: H200, per_hour: 3.5}
train: {}
evaluate: {}
export: {}
"""
)


def of(tmp_path: Path, text: str, *overrides: str) -> PlanSummary:
    file = tmp_path / "it.yaml"
    file.write_text(text)
    return look(load_recipe(str(file), CATALOG, overrides), CATALOG, Workspace(tmp_path / "runs"))


def printed(recipe: str, runs: Path, *more: str, full: bool = False) -> str:
    words = ["-v"] if full else []
    answer = CliRunner().invoke(app, [*words, "plan", recipe, *more, "--runs", str(runs)])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_alpaca_52k_costs_what_it_says_and_fits_its_cap(tmp_path: Path) -> None:
    recipe = load_recipe("alpaca-52k", CATALOG)
    outlook = look(recipe, CATALOG, Workspace(tmp_path))
    money = outlook.total.api + outlook.total.gpu
    assert 0 < money.p50 * DOLLARS <= 6 and money.p90 * DOLLARS <= 12
    assert outlook.control and outlook.total.api.p50 and outlook.fit and outlook.fit.fits
    assert outlook.machine.gpu and outlook.machine.gpu.name == "H100-PCIe"
    assert [held.word for held in outlook.held] == ["fits"]


def test_its_page_is_short_and_says_what_decides(tmp_path: Path) -> None:
    page = printed("alpaca-52k", tmp_path / "runs")
    assert len(page.splitlines()) <= 25 and max(map(len, page.splitlines())) <= 100
    for said in (
        "P10 to P90",
        "budget: fits budget.total",
        "train.control=none leaves it out",
        "what would save most",
        "memory: fits",
        "days ago)",
        "-v shows all of it",
    ):
        assert said in page
    table = page.split("what would save most")[1].split("note:")[0]
    assert 1 <= table.count("$") <= 3
    assert not (tmp_path / "runs").exists()


def test_its_whole_page_says_the_range_the_cheaper_ones_and_stanford(tmp_path: Path) -> None:
    page = printed("alpaca-52k", tmp_path / "runs", full=True)
    assert "Stanford paid under $600" in page
    assert "P10 to P90" in page
    assert "what would be cheaper" in page
    assert "rests on:" in page
    assert "a shared opening, is computed once" in " ".join(page.split())
    assert "gpt-6-luna *" in page and "H100-PCIe *" in page
    assert max(map(len, page.splitlines())) <= 100


def test_changes_are_what_they_save(tmp_path: Path) -> None:
    """The sums that the page shows are those of the plans that they name."""
    online = look(load_recipe("alpaca-52k-online", CATALOG), CATALOG, Workspace(tmp_path))
    batch = look(
        load_recipe("alpaca-52k", CATALOG, ("generate.round_size=1024",)),
        CATALOG,
        Workspace(tmp_path),
    )
    assert online.by_batch == pytest.approx(online.total.api.p50 - batch.total.api.p50, rel=0.03)
    assert batch.by_batch == 0
    whole, alone = (
        of(tmp_path, TUNED, "generate.count=50000", f"train.control={control}")
        for control in ("shuffled", "none")
    )
    assert whole.control and alone.control is None
    assert whole.control.gpu.p50 == pytest.approx(
        whole.total.gpu.p50 - alone.total.gpu.p50, rel=1e-6
    )
    waits = of(tmp_path, TUNED, "generate.count=50000", "gpu.lease_start=gpu")
    assert waits.idle == 0
    assert whole.idle == pytest.approx(whole.total.gpu.p50 - waits.total.gpu.p50, rel=1e-6)


def test_what_is_doubtful_stands_on_the_short_page_too(tmp_path: Path) -> None:
    of(tmp_path, TUNED + "budget: {gpu: 5}\n")
    page = printed(str(tmp_path / "it.yaml"), tmp_path / "runs", "train.method=full")
    assert "hub revision 'main' is not pinned" in page
    assert "warning: the price of 'gpt-4.1-mini'" in page
    page = printed(
        str(tmp_path / "it.yaml"), tmp_path / "runs", "gpu.name=RTX4090", "train.method=full"
    )
    assert "memory: does not fit" in page and "what would fit: train.method=lora" in page


def test_the_quickstart_is_free_and_compares_itself_with_nobody(tmp_path: Path) -> None:
    page = printed("quickstart", tmp_path / "runs")
    assert "$0.00 to go" in page
    assert "Stanford" not in page and "cheaper" not in page


def test_for_programs(tmp_path: Path) -> None:
    found = json.loads(printed("alpaca-52k", tmp_path / "runs", "--json"))
    assert [step["stage"] for step in found["steps"]] == [
        "generate",
        "curate",
        "train",
        "evaluate",
        "export",
    ]
    low, middle, high = found["total"]["dollars"]
    assert 0 < low < middle < high
    assert (
        found["fit"]["fits"]
        and found["cheaper"]["teachers"]
        and found["cheaper"]["gpus"]
        and found["cheaper"]["hosted"]
    )


def test_money_of_the_machine_is_its_minutes(tmp_path: Path) -> None:
    outlook = of(tmp_path, TUNED)
    for line in outlook.lines:
        assert line.estimate
        assert line.estimate.gpu.p50 * DOLLARS == pytest.approx(
            line.estimate.minutes.p50 / 60 * 3.5
        )


def test_a_machine_at_a_stated_price_is_billed_whatever_stages_there_are(tmp_path: Path) -> None:
    outlook = of(tmp_path, PAID + "gpu: {per_hour: 3.5}\nbudget: {gpu: 0.5}\n")
    assert outlook.total.gpu.p50 == pytest.approx(outlook.total.minutes.p50 / 60 * 3.5e9)
    assert [(held.key, held.word) for held in outlook.held] == [("budget.gpu", "will stop")]
    assert of(tmp_path, PAID + "gpu: {per_hour: 3.5, lease_start: gpu}\n").total.gpu.p90 == 0
    assert of(tmp_path, PAID).total.gpu.p90 == 0
    begun = "gpu: {name: H200, per_hour: 3.5, lease_start: 2026-11-01T08:00:00Z}\n"
    assert of(tmp_path, PAID + begun).total.gpu.p50 > 0


def test_full_tuning_does_not_fit_a_small_gpu_and_says_what_would(tmp_path: Path) -> None:
    outlook = of(tmp_path, TUNED, "gpu.name=RTX4090", "gpu.per_hour=0.5", "train.method=full")
    assert outlook.fit and not outlook.fit.fits_usually
    assert [cure.split(":")[0] for cure in outlook.cures] == [
        "train.method=lora base.dtype=bfloat16",
        "train.fsdp=true train.processes=8",
    ]
    train = next(line for line in outlook.lines if line.step.stage.kind == "train")
    assert train.estimate and "does not fit" in train.estimate.says
    assert all(
        offer.own or offer.name not in ("RTX4090", "L4", "A100-80")
        for offer in outlook.cheaper.gpus
    )


def test_a_cure_is_true(tmp_path: Path) -> None:
    kept = "train.gradient_checkpointing=false"
    changes = ("gpu.name=H100", "train.per_device_train_batch_size=64", "base.dtype=bfloat16", kept)
    tight = of(tmp_path, TUNED, *changes)
    assert tight.fit and not tight.fit.fits
    assert tight.cures[0].startswith(
        "train.per_device_train_batch_size=16 and 4 times the gradient_accumulation_steps"
    )
    cured = of(
        tmp_path,
        TUNED,
        *changes,
        "train.per_device_train_batch_size=16",
        "train.gradient_accumulation_steps=4",
    )
    assert cured.fit and cured.fit.fits


def test_the_control_doubles_the_tune(tmp_path: Path) -> None:
    both, one = (
        of(tmp_path, TUNED, "generate.count=50000", f"train.control={control}").lines[2].estimate
        for control in ("shuffled", "none")
    )
    assert both and one
    assert 1.7 < both.minutes.p50 / one.minutes.p50 < 2.1


def test_rows_that_are_there_are_measured(tmp_path: Path) -> None:
    from alpaca_pipe.core.files import write_jsonl
    from alpaca_pipe.train.cost_estimate import lengths
    from tests.report.conftest import examples

    file = tmp_path / "train.jsonl"
    write_jsonl(file, [row.to_row() for row in examples()] * 500)
    found = lengths(file)
    assert found.rows == 3000
    assert found.mean == pytest.approx(
        44
        + sum(len(f"{row.instruction}{row.input}{row.output}".encode()) for row in examples())
        / 6
        / 4.2,
        rel=0.01,
    )


@pytest.mark.parametrize(("cap", "word"), [("0.0001", "will stop"), ("5", "fits")])
def test_the_budget_is_held_against_the_forecast(tmp_path: Path, cap: str, word: str) -> None:
    outlook = of(tmp_path, PAID + f"budget: {{api: {cap}}}\n")
    assert [(held.key, held.word) for held in outlook.held] == [("budget.api", word)]


def test_a_budget_between_middle_and_p90_may_stop_it(tmp_path: Path) -> None:
    api = of(tmp_path, PAID).total.api
    between = (api.p50 + api.p90) / 2 * DOLLARS
    outlook = of(tmp_path, PAID + f"budget: {{total: {between:.9f}}}\n")
    assert [(held.key, held.word) for held in outlook.held] == [("budget.total", "may stop")]
    assert "may stop at budget.total: P90" in printed(str(tmp_path / "it.yaml"), tmp_path / "runs")


def test_what_was_spent_is_no_longer_left(tmp_path: Path) -> None:
    buy(tmp_path / "runs", ["r1-a"], recipe="it")
    buy(tmp_path / "runs", ["r1-b"], recipe="another")
    (tmp_path / "runs" / "budget.yaml").write_text("total: 10\n")
    outlook = of(tmp_path, PAID + "budget: {api: 5}\n")
    cost = 1000 * 150 + 333 * 600
    left = {held.key: held.cap - held.left for held in outlook.held}
    assert left == {"budget.api": cost, "workspace budget.total": 2 * cost}


def test_a_rehearsal_is_on_paper(tmp_path: Path) -> None:
    assert "of simulated money ($0.00 is spent) to go" in printed(
        "alpaca-7b-lora", tmp_path / "runs", "--rehearse"
    )


def test_cheaper_teachers_cost_less_for_the_same_tokens(tmp_path: Path) -> None:
    outlook = of(tmp_path, PAID.replace("gpt-4.1-mini", "gpt-4.1"))
    offers = outlook.cheaper.teachers
    own = next(offer for offer in offers if offer.own)
    assert own.name == "gpt-4.1" and own is offers[-1] and len(offers) > 4
    assert list(offers) == sorted(offers, key=lambda offer: offer.nanodollars)
    total = outlook.total
    assert own.nanodollars == pytest.approx(
        (total.tokens_in.p50 * 2 + total.tokens_out.p50 * 8) * 1000, rel=1e-4
    )


def test_an_old_price_is_said_to_be_old_and_what_is_not_supported_is_not_proposed(
    tmp_path: Path,
) -> None:
    outlook = of(tmp_path, TUNED)
    own = next(offer for offer in outlook.cheaper.teachers if offer.own)
    checked = price_of("gpt-4.1-mini", outlook.day).checked
    assert checked and own.aged == f"checked {(outlook.day - checked).days} days ago"
    assert any(not offer.aged for offer in outlook.cheaper.teachers), "none of these is old"
    best = Offer("MI300X", "somebody", "$1 an hour", 1, "on ROCm: not tried", supported=False)
    sentence = replace(outlook.cheaper, gpus=(best, *outlook.cheaper.gpus)).sentence
    second = next(offer for offer in outlook.cheaper.gpus if offer.supported)
    assert f"{second.name} at {second.provider}" in sentence and "MI300X" not in sentence


def test_a_teacher_with_a_price_of_its_own_is_the_recipes(tmp_path: Path) -> None:
    text = PAID.replace("gpt-4.1-mini", "gpt-4.1-mini, price: {in: 9, out: 9}")
    assert [offer.price for offer in of(tmp_path, text).cheaper.teachers if offer.own] == [
        "$9 in, $9 out"
    ]
    assert PriceTable.model_validate({"in": 9, "out": 9})


HOLD = """
import sys, time
from pathlib import Path
from alpaca_pipe.recipe.locks import held
with held(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_recipe_that_is_being_run_says_so(tmp_path: Path) -> None:
    lock = tmp_path / "runs" / "it" / ".lock"
    before = of(tmp_path, PAID)
    assert before.running is None
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stdout.readline() == "held\n"
        assert of(tmp_path, PAID).running == str(process.pid)
        assert f"running now (pid {process.pid})" in printed(
            str(tmp_path / "it.yaml"), tmp_path / "runs"
        )
    finally:
        process.kill()
        process.wait()
    assert lock.read_text() == str(process.pid) and of(tmp_path, PAID).running is None


def test_a_probe_of_a_lock_writes_nothing(tmp_path: Path) -> None:
    from alpaca_pipe.recipe.locks import holder

    assert holder(tmp_path / "none" / ".lock") is None
    assert not (tmp_path / "none").exists()
    stale = tmp_path / ".lock"
    stale.write_text(str(os.getpid()))  # this process lives and does not hold it
    assert holder(stale) is None


def test_every_gpu_of_the_table_can_be_planned_for(tmp_path: Path) -> None:
    from alpaca_pipe.ledger.machine.planned_machine import machine_of
    from alpaca_pipe.ledger.pricing.gpu_rates import gpus

    for name in gpus():
        tables: dict[str, Any] = {"gpu": GpuTable(name=name, per_hour=1)}  # type: ignore[arg-type]
        assert machine_of(tables).gpu == gpus()[name]


def test_a_machine_without_a_price_fits_no_budget(tmp_path: Path) -> None:
    unpriced = TUNED.replace("per_hour: 3.5", "provider: nobody") + "budget: {gpu: 5}\n"
    outlook = of(tmp_path, unpriced)
    assert [(held.key, held.word) for held in outlook.held] == [("budget.gpu", "unknown")]
    page = printed(str(tmp_path / "it.yaml"), tmp_path / "runs")
    assert "whether budget.gpu holds is not known" in page and "fits budget.gpu" not in page
