"""The working fields of Stanford's file, against its own lines with its own library."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="all pairs are compared by a compiled loop")

import numpy as np
from rouge_score import rouge_scorer
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.generate.similarity_report import Ticking
from alpaca_pipe.similarity.most_similar import likest
from alpaca_pipe.similarity.words import rouge_words


def by_stanford(texts: list[str], known: list[str]) -> list[tuple[dict[str, float], float]]:
    """generate_instruction.py, the lines behind `rouge_scores`, without its threshold. Its argsort is made stable."""
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    all_texts, found = list(known), []
    tokens = [scorer._tokenizer.tokenize(text) for text in known]
    for text in texts:
        mine = scorer._tokenizer.tokenize(text)
        scores = [rouge_scorer._score_lcs(mine, other).fmeasure for other in tokens]
        ten = (
            {
                all_texts[place]: scores[place]
                for place in np.argsort(scores, kind="stable")[-10:][::-1]
            }
            if scores
            else {}
        )
        found.append((ten, float(np.mean(scores)) if scores else 0.0))
        all_texts.append(text)
        tokens.append(mine)
    return found


def ours(texts: list[str], known: list[str]) -> list[tuple[dict[str, float], float]]:
    found, everything = likest(texts, "rouge", known), known + texts
    return [
        (
            {everything[place]: score for place, score in zip(ten, its, strict=True) if place >= 0},
            mean,
        )
        for ten, its, mean in zip(
            found.nearest.tolist(), found.scores.tolist(), found.means.tolist(), strict=True
        )
    ]


def same(
    one: list[tuple[dict[str, float], float]], other: list[tuple[dict[str, float], float]]
) -> None:
    for (ten, mean), (its, its_mean) in zip(one, other, strict=True):
        assert list(ten.items()) == list(its.items())
        assert mean == pytest.approx(its_mean, rel=1e-12)


def test_rows_of_all_lengths_as_stanford_wrote_them() -> None:
    chance = random.Random(3)
    words = [*"abcdefghijklmnop", *(f"w{number}" for number in range(60))]
    texts = [
        " ".join(
            chance.choices(words, k=chance.choice([1, 3, 8, 10, 11, 12, 9, 10, 63, 64, 65, 130]))
        )
        + f" {number}"
        for number in range(160)
    ]
    texts[40:60] = ["?!", *(f"{'!' * number}" for number in range(2, 21))]  # no word at all
    same(ours(texts[20:], texts[:20]), by_stanford(texts[20:], texts[:20]))
    assert likest(texts, "rouge").wordless.tolist() == list(range(40, 60))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=1, max_size=30))
def test_any_rows(rows: list[list[str]]) -> None:
    texts = [
        " ".join(row) + "!" * place for place, row in enumerate(rows)
    ]  # equal words, yet other keys
    same(ours(texts, []), by_stanford(texts, []))


def test_the_command_adds_the_two_fields(tmp_path: Path) -> None:
    rows = [
        {"instruction": text, "output": "x"}
        for text in ("Name a big river.", "Name a big lake.", "???", "Add 2 and 3.")
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    done = CliRunner().invoke(app, ["similarity", str(tmp_path / "rows.json"), "--seeds", "short"])
    assert done.exit_code == 0, done.output
    assert "1 rows without any word" in done.output
    written = list(read_jsonl(tmp_path / "rows.similarity.jsonl"))
    assert [row["instruction"] for row in written] == [row["instruction"] for row in rows]
    assert next(iter(written[1]["most_similar_instructions"].items())) == (
        "Name a big river.",
        0.75,
    )
    assert len(written[0]["most_similar_instructions"]) == 10
    as_list = CliRunner().invoke(
        app, ["similarity", str(tmp_path / "rows.json"), "-o", str(tmp_path / "all.json"), "--json"]
    )
    said = json.loads(as_list.output)
    texts = [row["instruction"] for row in rows]
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    each = [scorer.score(b, a)["rougeL"].fmeasure for a, b in combinations(texts, 2)]
    assert said["pairs"] == len(each) == 6
    assert said["mean"] == pytest.approx(sum(each) / 6)  # of pairs: not the mean of rows' means
    assert len(json.loads((tmp_path / "all.json").read_text())[3]["most_similar_instructions"]) == 3
    assert rouge_words("???") == []


def test_many_pairs_say_how_many_they_are_and_how_long_the_rest_takes() -> None:
    now, said = [0.0], list[str]()
    tick = Ticking(400_000_000, said.append, lambda: now[0])
    for done, seconds in ((100, 20.0), (200, 21.0), (300, 22.0), (350, 40.0), (400, 41.0)):
        now[0] = seconds
        tick(done * 1_000_000)
    assert said[0] == "400,000,000 pairs to compare"
    assert said[1] == "200,000,000 of 400,000,000 pairs, about 2 s to go"  # not slowed by compiling
    assert len(said) == 3 and said[2].startswith("350,000,000 of")
    few = list[str]()
    Ticking(1000, few.append)(1000)
    assert not few


def test_each_part_of_the_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_pipe.similarity.most_similar._PAIRS_A_PART", 40)
    told = list[int]()
    texts = [f"a b c{number} {'d ' * (number % 40)}" for number in range(90)]
    found = likest(texts[5:], "rouge", texts[:5], told.append)
    assert told == sorted(told) and len(told) > 10 and told[-1] == 85 * 5 + 85 * 84 // 2
    monkeypatch.undo()
    whole = likest(texts[5:], "rouge", texts[:5])
    assert (found.nearest == whole.nearest).all() and (found.means == whole.means).all()
