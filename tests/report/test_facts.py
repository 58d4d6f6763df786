"""What the page is told: the funnel adds up or says so, money agrees with the ledger, nothing missing raises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alpaca_pipe.core.example import Rejected
from alpaca_pipe.core.files import read_json, write_json, write_jsonl
from alpaca_pipe.report.costs import money
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.report_page import render
from alpaca_pipe.report.run_files import left
from tests.report.conftest import FREE, PRICE, Workspace, buy, examples

KEYS = [f"r1-{n:032x}" for n in range(4)]
COST = 1000 * 150 + 333 * 600  # nano-dollars: $0.15 and $0.60 per million are 150 and 600 a token


def test_a_whole_run(workspace: Workspace) -> None:
    buy(workspace.root, KEYS)
    facts = gather(workspace.root, "tea")
    assert facts.missing == ()
    assert [
        (part.kind, part.came, part.kept, dict(part.dropped)) for part in facts.funnel.stretches
    ] == [("generate", 8, 6, {"not_json": 1, "likeness": 1}), ("curate", 6, 5, {"truncated": 1})]
    assert facts.funnel.faults == ()
    assert facts.verdict and facts.verdict["verdict"] == "better"
    assert [row.rule for row in facts.dropped] == ["not_json", "likeness", "truncated"]
    assert sorted(row.where for row in facts.kept) == [
        "held out",
        "held out",
        "train",
        "train",
        "train",
    ]
    assert facts.curves["tuned"][0] == (1, pytest.approx(2.3)) and len(facts.curves["control"]) == 8
    assert facts.minutes == pytest.approx(3 * 1.5 + 4)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"pieces": 9}, "generate: 9 came, but 6 kept and 2 dropped make 8"),
        ({"accepted": 7, "pieces": 9}, "generate kept 7, but curate read 6"),
    ],
)
def test_a_funnel_that_leaks_says_where(
    workspace: Workspace, change: dict[str, int], fault: str
) -> None:
    done = workspace.root / "store" / workspace.steps["generate"] / "done.json"
    seal = read_json(done)
    write_json(done, seal | {"summary": seal["summary"] | change})
    assert fault in gather(workspace.root, "tea").funnel.faults


def test_rows_that_are_gone_from_a_file_are_missed(workspace: Workspace) -> None:
    file = workspace.root / "store" / workspace.steps["curate"] / "examples.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    assert gather(workspace.root, "tea").funnel.faults == (
        "curate: examples.jsonl holds 4 rows, its summary says 5",
    )


def test_a_split_that_loses_a_row_says_so(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.curate(examples(), train=3)
    made.close()
    assert gather(tmp_path, "tea").funnel.faults == (
        "curate: 6 kept, but train and held out make 5",
    )


def test_money_is_the_ledgers(workspace: Workspace) -> None:
    buy(workspace.root, KEYS[:3], lost=KEYS[3])
    buy(workspace.root, ["r1-other"], recipe="coffee", run="run-9")
    books = money(left(workspace.root, "tea"))
    assert books and not books.faults and not books.free
    assert books.total.settled == 3 * COST == books.this_run
    assert books.total.lost == PRICE.worst(2000, 1000)
    assert (books.total.requests, books.total.attempts, books.total.open) == (3, 4, 0)
    assert list(books.lines) == ["requests of generate", "machine time"]


def test_replies_of_an_earlier_run_are_worth_what_they_cost(workspace: Workspace) -> None:
    buy(workspace.root, KEYS[:2], recipe="coffee", run="run-0")  # asked for by tea's rows too
    buy(workspace.root, KEYS[2:])
    books = money(left(workspace.root, "tea"))
    assert books and books.saved == 2 * COST and books.total.settled == 2 * COST


def test_a_local_teacher_is_free(workspace: Workspace) -> None:
    workspace.config["teacher"] = {"kind": "local_server", "price": {"in": "0", "out": "0"}}
    workspace.close()
    buy(workspace.root, KEYS, price=FREE)
    books = money(left(workspace.root, "tea"))
    assert books and books.free and books.total.settled == 0 and books.total.requests == 4


def test_nothing_is_there(tmp_path: Path) -> None:
    facts = gather(tmp_path, "tea")
    assert facts.missing == (
        "nothing is known of a run of 'tea' in this workspace: no lock.json, no history",
        "the ledger is not in this copy, so nothing is said about money",
    )
    assert facts.steps == () and facts.verdict is None and facts.kept == ()


def test_a_failed_run(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.generate(examples(), [Rejected("half", "not_json", "the JSON ends in the middle")])
    made.step("curate", {}, sealed=False)
    made.config["train"] = {"steps": 8}
    made.close(outcome="failed")
    facts = gather(tmp_path, "tea")
    assert facts.missing[:2] == (
        "curate has begun and was not finished",
        "train has not run, or its folder is not in this copy",
    )
    assert facts.funnel.faults == () and facts.funnel.last == 6
    assert {row.where for row in facts.kept} == {"generate"}


def test_a_copy_without_store_or_ledger(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "store")
    facts = gather(workspace.root, "tea")
    assert [step.state for step in facts.steps] == ["not run"] * 4 and len(facts.missing) == 5


def test_a_line_that_was_cut_off_ends_its_file(workspace: Workspace) -> None:
    file = workspace.root / "store" / workspace.steps["train"] / "loss.jsonl"
    file.write_text(file.read_text()[:-20])
    assert len(gather(workspace.root, "tea").curves["control"]) == 7


def test_losses_on_the_way_and_the_checkpoint_that_they_chose(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.train(kept={"tuned": {"step": 4, "eval_loss": 1.5}})
    made.close()
    assert "held-out" not in render(gather(tmp_path, "tea"))
    folder = tmp_path / "store" / made.steps["train"]
    rows = [
        {"which": which, "step": step, "eval_loss": loss}
        for which in ("tuned", "control")
        for step, loss in ((2, 1.8), (4, 1.5), (6, 1.6))
    ]
    write_jsonl(folder / "eval.jsonl", rows)
    facts = gather(tmp_path, "tea")
    assert facts.held_out_curves["tuned"] == [(2, 1.8), (4, 1.5), (6, 1.6)]
    page = render(facts)
    assert "on held-out rows on the way: 1.800 to 1.600" in page
    assert "The weights of step 4, where it was lowest (1.500)" in page


def test_a_file_that_is_no_ledger_is_said(workspace: Workspace) -> None:
    (workspace.root / "ledger.sqlite").write_text(
        "not a ledger at all, but long enough to be looked at" * 40
    )
    facts = gather(workspace.root, "tea")
    assert facts.money is None and "is not a ledger" in facts.missing[-1]
