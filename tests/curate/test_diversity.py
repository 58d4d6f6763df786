"""Verbs and objects as a reader finds them, lengths, and nearest rows that are the same as by looking at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.files import read_json
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.diversity import Diversity, nearest, verb_and_object
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.report.chapters.judge_chapter import judged
from alpaca_pipe.report.chapters.variety_chapter import varied
from alpaca_pipe.similarity.rouge import rouge_l
from tests.curate.test_stage import ROWS, bench, row


@pytest.mark.parametrize(
    ("instruction", "verb", "object"),
    [
        ("Write a short story about a lost dog.", "write", "story"),
        ("Design a classification algorithm to detect a message as spam.", "design", "algorithm"),
        ("Give three tips for staying healthy.", "give", "tip"),
        ("Rewrite the following sentence using the passive voice.", "rewrite", "sentence"),
        ("Compare and contrast the two books.", "compare", "book"),
        ("Categorize the countries by continent.", "categorize", "country"),
        ("Explain the Solar System model proposed by Copernicus.", "explain", "model"),
        ("Generate an automated reply to the email.", "generate", "reply"),
        ("Based on the given text, summarize the main points.", "summarize", "point"),
        ("Please write an essay.", "write", "essay"),
        ('Replace the word "catastrophe" with another one.', "replace", "word"),
        ("Determine how much sugar is in it.", "determine", ""),
        ("Explain why the sky is blue.", "explain", ""),
    ],
)
def test_verbs_and_objects(instruction: str, verb: str, object: str) -> None:
    assert verb_and_object(instruction) == (verb, object)


@pytest.mark.parametrize(
    "instruction",
    ["What is the capital of France?", "", "?", "Der Hund bellt.", "It rains. Write it down."],
)
def test_no_verb_that_asks(instruction: str) -> None:
    assert verb_and_object(instruction) is None


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    found = verb_and_object(text)
    assert found is None or (found[0] and " " not in "".join(found))


texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join), max_size=14)


@settings(max_examples=150, deadline=None)
@given(texts, st.integers(0, 6))
def test_the_nearest_is_the_nearest_of_all_others(rows: list[str], sample: int) -> None:
    every = [
        float(
            max(
                (rouge_l(one, other, "rouge") for at, other in enumerate(rows) if at != place),
                default=0,
            )
        )
        for place, one in enumerate(rows)
    ]
    assert sorted(nearest(rows, "rouge", sample=len(rows))) == sorted(every)
    some = nearest(rows, "rouge", sample=sample)
    assert len(some) == min(sample, len(rows)) and all(score in every for score in some)


def test_what_is_counted_adds_up() -> None:
    found = Diversity()
    for example in [
        *ROWS,
        row("What is it?", "a b c", "x " * 200),
        row("Write a story.", output="y " * 3),
    ]:
        found.add(example)
    said = found.to_row("unicode")
    assert said["rows"] == len(ROWS) + 2 and said["with_verb"] == 1 and said["pairs"] == 1
    assert said["shown"] == [
        {"verb": "write", "count": 1, "objects": [{"object": "story", "count": 1}]}
    ]
    assert (
        said["lengths"]["input"] == {"0": len(ROWS) + 1, "2": 1}
        and said["lengths"]["output"]["128"] == 1
    )
    assert all(sum(counts.values()) == said["rows"] for counts in said["lengths"].values())
    assert sum(said["nearest"]["tenths"]) == said["nearest"]["sample"] == said["rows"]


def test_the_stage_leaves_it_for_the_report(tmp_path: Path) -> None:
    at = bench(
        tmp_path, [*ROWS, row("Write a story of the sea."), row("Write a poem on a long night.")]
    )
    said = STAGE.run(CurateConfig(held_out=1, likeness=1), at).summary  # type: ignore[arg-type]
    left = read_json(at.folder / "diversity.json")
    assert said["diversity"] == {
        "with_verb": 2,
        "verbs": 1,
        "pairs": 2,
        "nearest": left["nearest"]["median"],
    }
    chapter = varied(left)
    assert (
        chapter and [figure.svg[:4] for figure in chapter["figures"]] == ["<svg"] * 4
    )  # the input is empty everywhere
    assert (
        ">story<" in chapter["figures"][0].svg.replace("\n", "")
        and "var(--tuned)" in chapter["figures"][0].svg
    )
    assert varied({}) is None and judged({}, None) is None


def test_the_report_says_what_the_judge_saves() -> None:
    grades = {
        "dimension": "accuracy",
        "scale": 5,
        "graded": 10,
        "ungraded": 1,
        "below": 4,
        "mean": 4.1,
        "tokens": 1100,
        "tokens_below": 400,
        "histogram": {"3": 4, "4.5": 6},
    }
    chapter = judged(grades, 2.5)
    assert chapter and chapter["sentences"] == (
        "10 rows were graded for accuracy, 4.10 of 5 on average; 4 went on their grade; 1 grades could not be read, and those rows stayed.",
        "That saves 400 of about 1,100 tokens in each epoch, about 2.5 minutes at the pace of the training stage, its loading included.",
    )
    assert chapter["figures"][0].svg.startswith("<svg")
