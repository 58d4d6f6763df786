"""The chapters of what changed beside the loss, of what a judge preferred, and of the files that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.evaluate.changes import Line, changes, what_got_worse
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion
from alpaca_pipe.evaluate.judge.win_rates import grade_summary, pair_summary
from alpaca_pipe.report.chapters.yield_chapter import yields
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.report_page import render
from tests.report.conftest import VERDICT, Workspace, examples


def page(folder: Path, summary: dict[str, Any], export: dict[str, Any] | None = None) -> str:
    made = Workspace(folder / "runs")
    made.evaluate(examples()[:2], {**VERDICT, **summary})
    if export:
        made.step("export", export)
    made.close()
    return render(gather(made.root, "tea"))


def test_what_changed_and_what_got_worse(tmp_path: Path) -> None:
    compared = [
        one.to_row()
        for one in changes(
            [
                Line("instructions followed", "layout", [True] * 30, [False] * 30),
                Line("instructions followed", "length <b>", [False] * 30, [True] * 30),
            ]
        )
    ]
    worse, sentence = what_got_worse(compared)
    said = page(
        tmp_path,
        {
            "rules": {"prompts": 60, "compared": compared},
            "forgetting": {"forgotten": ["What do bees make?"], "compared": []},
            "worse": worse,
            "worse_sentence": sentence,
        },
    )
    assert '<section id="changes">' in said and "length &lt;b&gt;" in said
    assert "Got worse: layout (of 2 things" in said and "What do bees make?" in said
    assert "−100" in said and "+100" in said and worse[0].split(",")[0] in said


def test_what_a_judge_preferred(tmp_path: Path) -> None:
    pairs = [AnswerPair(f"p{n}", 1, "facts", ("?",), ("yes" * n,), ("no",)) for n in range(1, 21)]
    said = [
        Opinion(one, place, None if n == 3 else "A" if place == "first" else "B", "", "")
        for n, one in enumerate(pairs)
        for place in ("first", "second")
    ]
    judge = {"mode": "pairs", "against": "base", "judge": "big"} | pair_summary(pairs, said, 1)
    text = page(tmp_path, {"judge": judge, "people": pair_summary(pairs, said, 1)})
    assert '<section id="preference">' in text and "judge: big" in text and "people" in text
    assert "20 pairs of answers" in text and "19 won, 0 lost, 0 ties" in text
    assert "2 of 40 replies could not be read, and 1 pairs are left out" in text
    assert "100% [83%, 100%]" in text and "facts" in text


def test_grades_are_sentences(tmp_path: Path) -> None:
    pairs = [AnswerPair(f"p{n}", 1, "", ("?",), ("a",), ("b",)) for n in range(9)]
    said = [
        Opinion(one, place, 8.0 if place == "tuned" else 6.0, "", "")
        for one in pairs
        for place in ("tuned", "other")
    ]
    judge = {"mode": "grades", "against": "base", "judge": "big"} | grade_summary(said, 1)
    text = page(tmp_path, {"judge": judge})
    assert "6.00 on average for the others, 8.00 for the tuned model" in text and "+2.00" in text


def test_the_files_that_are_shipped(tmp_path: Path) -> None:
    file = {
        "file": "model-q4_0.gguf",
        "megabytes": 91.7,
        "sha256": "5d" * 32,
        "prompts": 50,
        "differing": 83,
        "compared": 595,
        "kl": 0.1839,
        "kl_limit": 0.5,
    }
    model = {
        "positions": 228,
        "max_difference": 7.4e-5,
        "limit": 0.0041,
        "top1": 1.0,
        "dtype": "float32",
        "megabytes": 541.6,
    }
    graph = {"megabytes": 553.4, "positions": 640, "differing": 0, "largest": 3e-5, "limit": 0.01}
    graph["prompts"] = 50
    text = page(tmp_path, {}, {"model": model, "gguf": [file], "onnx": graph})
    assert "640 of 640 greedy" in text and "farther from it than 3e-05" in text
    assert '<section id="exports">' in text and "512 of 595" in text
    assert "0.18 (at most 0.5)" in text and "228 positions" in text


def test_every_file_of_weights_has_its_digest_as_it_was_sealed(tmp_path: Path) -> None:
    made = Workspace(tmp_path / "runs")
    names = ("merged/model.safetensors", "gguf/model-q8_0-00002-of-00002.gguf", "onnx/m.onnx_data")
    kept = {name: {"sha256": f"{n}b" * 32, "size": 1} for n, name in enumerate(names)}
    model = {"positions": 228, "max_difference": 7.4e-5, "limit": 0.0041, "top1": 1.0}
    folder = made.step("export", {"model": model | {"dtype": "float32", "megabytes": 541.6}})
    done = read_json(folder / "done.json")
    kept["merged/README.md"] = kept["browser/model-q4_0.gguf"] = {"sha256": "ff" * 32, "size": 1}
    write_json(folder / "done.json", done | {"files": kept})
    made.close()
    text = render(gather(made.root, "tea"))
    for n, name in enumerate(names):
        assert f"{name} sha256 {f'{n}b' * 32}" in text
    assert "ff" * 32 not in text


def test_what_the_requests_yielded(tmp_path: Path) -> None:
    rounds = [{"seats": 10, "answers": 10, "accepted": 10 - n} for n in range(8)]
    assert yields(rounds) == [(f"{n + 1}", 5 * (10 - n)) for n in range(8)]
    many = yields(rounds * 10)
    assert len(many) == 16 and many[0][0] == "1-5" and many[-1][0] == "76-80"
    assert yields([]) == yields([{"seats": 0, "answers": 0, "accepted": 0}]) == []
    made = Workspace(tmp_path / "runs")
    made.step("generate", {"accepted": 52}, {"rounds.jsonl": rounds})
    made.close()
    text = render(gather(made.root, "tea"))
    assert '<section id="yield">' in text and "100 requests brought 50 rows, in the last 15" in text


def test_nothing_is_said_of_what_was_not_measured(tmp_path: Path) -> None:
    text = page(tmp_path, {})
    assert not any(f'id="{name}"' in text for name in ("changes", "preference", "exports"))
