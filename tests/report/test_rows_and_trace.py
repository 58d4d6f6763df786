"""Rows as they are asked for, and the whole way of one of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import read_json, write_json, write_jsonl
from alpaca_pipe.curate.repairs import mended
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.report_page import render
from alpaca_pipe.report.rows import print_rows, rows
from alpaca_pipe.report.run_files import left
from alpaca_pipe.report.trace import print_trace, trace
from tests.report.conftest import TEXTS, Workspace, buy, examples


def test_kept_and_rejected_rows(workspace: Workspace) -> None:
    root = workspace.root
    assert [row.instruction for row in rows(root, "tea")] == [text[0] for text in TEXTS[:5]]
    assert [(row.where, row.rule) for row in rows(root, "tea", rejected=True)] == [
        ("generate", "not_json"),
        ("generate", "likeness"),
        ("curate", "truncated"),
    ]
    assert [row.reason for row in rows(root, "tea", rejected=True, rule="truncated")] == [
        "the output stops in mid-sentence, at 'the'"
    ]
    assert [row.output for row in rows(root, "tea", grep="CHLORO|keeper")] == [
        TEXTS[2][2],
        TEXTS[4][2],
    ]


def test_a_sample_is_the_same_every_time_and_in_order(workspace: Workspace) -> None:
    some = rows(workspace.root, "tea", sample=3)
    everything = rows(workspace.root, "tea")
    assert some == rows(workspace.root, "tea", sample=3) and len(some) == 3
    assert some == [row for row in everything if row in some]
    assert rows(workspace.root, "tea", sample=99) == everything


def test_what_is_asked_wrongly(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="did you mean 'truncated'"):
        rows(workspace.root, "tea", rejected=True, rule="truncate")
    with pytest.raises(UserError, match="not a regular expression"):
        rows(workspace.root, "tea", grep="(")
    with pytest.raises(UserError, match="alpaca-pipe run milk"):
        rows(workspace.root, "milk")


def test_printed_rows_take_no_markup_from_a_row(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    file = workspace.root / "store" / workspace.steps["curate"] / "examples.jsonl"
    row = Example.of(
        "Close the tag [/bold] now", "", "[red]line one\nline two", Origin("generated", "r")
    )
    write_jsonl(file, [row.to_row()])
    print_rows(workspace.root, "tea")
    said = capsys.readouterr().out
    assert (
        "Close the tag [/bold] now" in said
        and "[red]line one ⏎ line two" in said
        and "1 rows" in said
    )


def test_rows_come_in_pages(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def page(**asked: int) -> tuple[list[str], str]:
        print_rows(workspace.root, "tea", **asked)  # type: ignore[arg-type]
        *_, last = said = capsys.readouterr().out.strip().splitlines()
        return [line for line in said if line.startswith("  instruction")], last

    whole, end = page()
    assert len(whole) == 5 and end == "5 rows"  # nothing is cut where no terminal is
    first, end = page(limit=2)
    assert first == whole[:2] and end == "2 of 5 rows; --from 3 continues, --limit 0 shows all"
    rest, end = page(start=3, limit=0)
    assert rest == whole[2:] and end == "3 of 5 rows"


def passages(workspace: Workspace, id: str) -> dict[str, str]:
    [found] = trace(workspace.root, id)
    return {passage.title: "\n".join(passage.lines) for passage in found.passages}


def test_the_way_of_a_kept_row(workspace: Workspace) -> None:
    key = f"r1-{0:032x}"
    buy(workspace.root, [key])
    row = examples()[0]
    told = passages(workspace, row.id[:9])
    assert list(told) == [
        "example",
        "seeds shown",
        f"request {key}",
        "raw reply",
        "piece",
        "novelty",
        "curate",
        "loss on it, nats per token",
        "money",
    ]
    assert (
        "user: Write one task." in told[f"request {key}"]
        and "'temperature': 0.7" in told[f"request {key}"]
    )
    assert (
        told["raw reply"].startswith(f"reply to {key}")
        and "uncached_in 1000, visible_out 333" in told["raw reply"]
    )
    assert told["seeds shown"] == "e1-seed0\ne1-seed1" and told["piece"] == "place: 0/0/0"
    assert (
        told["novelty"] == "nearest e1-seed0, score 0.31"
        and told["curate"] == "kept, and held out to evaluate on"
    )
    assert (
        told["loss on it, nats per token"]
        == "base: 2.130 over 10 tokens\ntuned: 1.670 over 10 tokens"
    )
    assert "attempt 1: settled $0.0003 (349,800 nano-dollars)" in told["money"]
    assert "price of kettle-1 per million tokens: uncached_in $0.15" in told["money"]
    assert "generate kept 2 of its rows, $0.0002 (174,900 nano-dollars) each" in told["money"]


def test_the_way_of_dropped_rows(workspace: Workspace) -> None:
    assert passages(workspace, examples()[5].id)["curate"] == (
        "dropped, truncated: the output stops in mid-sentence, at 'the'"
    )
    near = rows(workspace.root, "tea", rejected=True, rule="likeness")[0]
    told = passages(workspace, near.id)
    assert (
        told["novelty"]
        == "dropped by generate, likeness: 0.83 like a seed, at most 0.7 wanted, nearest e1-seed0"
    )
    assert (
        told["curate"] == "never reached curate"
        and told["money"] == "the ledger is not in this copy"
    )


def test_a_row_that_was_kept_and_told_again(tmp_path: Path) -> None:
    first = examples()[0]
    made = Workspace(tmp_path)
    made.generate(
        examples(),
        [Rejected(first, "likeness", "1.0 like a row, at most 0.7 wanted", nearest=first.id)],
    )
    made.close()
    assert passages(made, first.id)["novelty"] == (
        "nearest e1-seed0, score 0.31\n"
        f"told again, and then dropped by generate, likeness: 1.0 like a row, at most 0.7 wanted, nearest {first.id}"
    )


def test_the_way_of_a_repaired_row(tmp_path: Path) -> None:
    before = replace(examples()[0], input="N/A")
    before = Example.of(before.instruction, "N/A", before.output, before.origin)
    after = mended(before)
    assert after
    made = Workspace(tmp_path)
    made.generate([before, *examples()[1:]])
    made.curate([after, *examples()[1:]], held_out=1, repaired=1)
    write_jsonl(
        tmp_path / "store" / made.steps["curate"] / "repaired.jsonl",
        [{"rule": "no_input", "before": before.to_row(), "after": after.to_row()}],
    )
    made.close()
    told = passages(made, after.id)
    assert told["repair"] == f"no_input: its input was 'N/A'\nbefore it, this row was {before.id}"
    assert (
        told["seeds shown"] == "e1-seed0\ne1-seed1"
        and told["curate"] == "kept, and held out to evaluate on"
    )
    assert passages(made, before.id)["curate"] == f"repaired, and now {after.id}"


def test_unknown_and_ambiguous_ids(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"alpaca-pipe rows RECIPE` \(recipes here: tea\)"):
        trace(workspace.root, "e1-none")
    with pytest.raises(UserError, match="write more of it"):
        trace(workspace.root, "e1-")
    with pytest.raises(UserError, match="no example ''"):
        trace(workspace.root, "")
    with pytest.raises(UserError, match="nothing was run here yet"):
        trace(tmp_path / "empty", "e1-0")
    print_trace(workspace.root, examples()[0].id)
    assert "kept, and held out" in capsys.readouterr().out


def test_a_nearest_that_is_a_seed_is_traced_too(workspace: Workspace) -> None:
    seeds = left(workspace.root, "tea").step("generate").folder
    assert seeds is not None
    seed = Example.of("Pour the tea into a cup.", "", "Done.", Origin("seed", "tea.csv#1"))
    write_jsonl(seeds / "seeds.jsonl", [seed.to_row()])
    told = passages(workspace, seed.id[:12])
    assert told["origin"] == "seed from tea.csv#1" and "it cost $0" in told["money"]
    assert "shown in the prompts of 0 accepted rows" in told["used"]


def test_an_id_of_a_rehearsal_says_so(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(workspace.root, tmp_path / "other" / "rehearsal")
    id = examples()[0].id
    with pytest.raises(UserError, match=f"alpaca-pipe trace {id} --rehearse"):
        trace(tmp_path / "other", id)
    with pytest.raises(UserError, match="look at one with --rehearse"):
        trace(tmp_path / "other", "e1-none")


def test_rows_too_long_for_training_or_scoring_are_counted_and_found(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    some = examples()
    made.curate(some)  # the first two are held out
    made.train([Rejected(some[5], "max_length", "700 tokens, at most 512 fit")], rows=3)
    made.evaluate(
        some[:1], left_out=[Rejected(some[1], "max_length", "1100 tokens, at most 1024 fit")]
    )
    made.close()
    assert [
        (row.id, row.where) for row in rows(tmp_path, "tea", rejected=True, rule="max_length")
    ] == [(some[5].id, "train"), (some[1].id, "evaluate")]
    facts = gather(tmp_path, "tea")
    assert (
        facts.funnel.train,
        facts.funnel.trained,
        facts.funnel.left_out,
        facts.funnel.faults,
    ) == (4, 3, 1, ())
    assert (
        "4 to train on and 2 held out. 1 of those to train on were too long and dropped by train: 3 were trained on. "
        "1 of the held-out ones were too long and left out by evaluate."
    ) in render(facts)
    assert passages(made, some[5].id)["curate"] == (
        "kept, to train on\nleft out by train, max_length: 700 tokens, at most 512 fit"
    )
    file = tmp_path / "store" / made.steps["train"] / "dropped.jsonl"
    file.write_text("")
    assert gather(tmp_path, "tea").funnel.faults == (
        "train: dropped.jsonl holds 0 rows, its summary says 1",
    )


def test_rows_lost_between_curate_and_train_are_missed(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.curate(examples())
    made.train(rows=3)
    made.close()
    assert gather(tmp_path, "tea").funnel.faults == (
        "curate gave 4 to train on, but 3 trained on and 0 dropped make 3",
    )


def test_rows_that_were_changed_after_sealing_are_one_sentence(workspace: Workspace) -> None:
    folder = next(path for path in (workspace.root / "store").glob("curate-*"))
    seal = read_json(folder / "done.json")
    write_json(
        folder / "done.json", seal | {"files": {"examples.jsonl": {"sha256": "0" * 64, "size": 1}}}
    )
    with pytest.raises(UserError, match="its sealed result is damaged"):
        print_rows(workspace.root, workspace.recipe)
