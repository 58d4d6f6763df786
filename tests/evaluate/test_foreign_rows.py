"""Better of what: rows of others are scored beside the held-out ones, none of them trained on; the headline says which is which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_json, read_jsonl, write_jsonl
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.foreign_rows import foreign_rows
from alpaca_pipe.evaluate.stage import STAGE
from alpaca_pipe.report.verdict_text import in_words
from tests.evaluate.conftest import World, rows

LONG = "Name the three largest moons of the planet Jupiter in the order of their size, please."


def row(asked: str, answer: str = "An answer.") -> Example:
    return Example.of(asked, "", answer, Origin("generated"))


def written(path: Path, *found: dict[str, Any]) -> Path:
    path.write_text(json.dumps(list(found)), encoding="utf-8")
    return path


def alpaca(asked: str, answer: str = "An answer.", input: str = "") -> dict[str, str]:
    return {"instruction": asked, "input": input, "output": answer}


def test_what_was_trained_on_is_left_out_and_counted(tmp_path: Path) -> None:
    file = written(
        tmp_path / "theirs.json",
        alpaca("Add 2 and 3."),  # the same question, in other letters
        alpaca(f"{LONG} Say why."),  # a run of 13 words of a longer one
        alpaca("Which one?", "It is " + LONG),  # of an answer
        alpaca("What is new here?"),
        alpaca("what is NEW here"),
        alpaca("Without an answer", ""),
    )
    trained = [row("ADD 2 and 3!", "5"), row(f"So: {LONG}"), row("Say it.", f"Well. {LONG}")]
    found = foreign_rows(file, 10, trained)
    assert [one.instruction.lower().rstrip("?") for one in found.rows] == ["what is new here"]
    assert found.left_out == {
        "unreadable": 0,
        "without_answer": 1,
        "repeated": 1,
        "trained_on": 3,
    }


def test_short_answers_that_are_alike_are_no_overlap(tmp_path: Path) -> None:
    file = written(tmp_path / "theirs.json", alpaca("Is fire hot?", "Yes, it is."))
    assert foreign_rows(file, 5, [row("Is ice cold?", "Yes, it is.")]).left_out["trained_on"] == 0


def test_so_many_are_drawn_and_the_order_of_the_file_plays_no_part(tmp_path: Path) -> None:
    lines = [alpaca(f"Question number {n}: what of it?") for n in range(60)]
    forth = foreign_rows(written(tmp_path / "a.json", *lines), 7)
    back = foreign_rows(written(tmp_path / "b.json", *reversed(lines)), 7)
    assert [one.instruction for one in forth.rows] == [one.instruction for one in back.rows]
    assert len(forth.rows) == 7


def test_one_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no row with a question and an answer"):
        foreign_rows(written(tmp_path / "a.json", alpaca("Without", "")), 5)
    with pytest.raises(UserError, match="among the rows that were trained on"):
        foreign_rows(written(tmp_path / "b.json", alpaca("Known?")), 5, [row("known")])


def test_it_is_read_before_anything_is_paid(tmp_path: Path) -> None:
    assert STAGE.prove
    bad = EvaluateConfig(foreign=written(tmp_path / "a.json", alpaca("Without", "")))
    with pytest.raises(UserError, match=r"evaluate\.foreign: a\.json has no row"):
        STAGE.prove(bad, {}, lambda said: None)


@pytest.fixture(scope="module")
def done(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Others' rows, the first of them trained on: the same letters, and answers that the tune never saw."""
    folder = tmp_path_factory.mktemp("foreign")
    theirs = [
        alpaca(one.instruction, "Never seen: a wholly other answer.") for one in rows(500, 14)
    ]
    trained = rows(0, 48)
    file = written(folder / "theirs.json", alpaca(trained[0].instruction, "x y"), *theirs)
    write_jsonl(folder / "train.jsonl", (one.to_row() for one in trained))
    bench = world.bench(folder / "step")
    bench.inputs["curate/train.jsonl"] = folder / "train.jsonl"  # type: ignore[index]
    config = EvaluateConfig(samples=0, foreign=file)
    return folder / "step", dict(STAGE.run(config, bench).summary)


def test_the_same_verdict_is_given_on_each_and_stated_apart(
    done: tuple[Path, dict[str, Any]],
) -> None:
    """Tuned on its own four answers it is better on those, and worse where others are wanted."""
    folder, summary = done
    foreign = summary["foreign"]
    assert summary["sentence"].startswith("better on its teacher's own rows: loss ")
    assert foreign["sentence"].startswith("worse on foreign rows (theirs.json): loss ")
    assert (summary["rows"], foreign["rows"]) == (16, 14)
    assert foreign["not_scored"] == {"trained_on": 1}
    assert set(foreign["difference"]) == set(summary["difference"])
    assert read_json(folder / "verdict.json")["foreign"] == foreign


def test_its_figures_come_from_its_rows(done: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = done
    losses = list(read_jsonl(folder / "foreign_losses.jsonl"))
    assert len(losses) == 4 * 14
    for name, interval in summary["foreign"]["loss"].items():
        own = [one for one in losses if one["model"] == name]
        assert interval["mean"] == pytest.approx(
            sum(one["nats"] for one in own) / sum(one["tokens"] for one in own), abs=1e-6
        )


def test_the_headline_says_of_what(done: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = done
    verdict = read_json(folder / "verdict.json")
    told = in_words(verdict, "done")
    assert told.headline == "The tuned model is better than the base on its teacher's own rows"
    assert told.foreign.startswith("On 14 rows of others (theirs.json), it is worse (+")
    assert "1 rows that were trained on too are left out" in told.foreign
    alone = in_words({key: value for key, value in verdict.items() if key != "foreign"}, "done")
    assert "was not measured (evaluate.foreign)" in alone.foreign
    before = {k: v for k, v in verdict.items() if k not in ("foreign", "rows_of")}
    assert in_words(before, "done").headline == "The tuned model is better than the base"


def test_few_rows_of_others_are_too_few_to_say_and_how_many_would_do(
    done: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = done
    verdict = read_json(folder / "verdict.json")
    few = verdict["foreign"] | {"rows": 5, "rows_needed": {"base": 1234}, "min_difference": 0.01}
    told = in_words(verdict | {"foreign": few}, "done")
    assert told.foreign.startswith(
        "On rows of others (theirs.json), too few rows to say: 5, and at least 12 are needed, about 1,234 to show a "
        "difference of 0.01 nats a token."
    )
    assert told.headline == "The tuned model is better than the base on its teacher's own rows"
    own = in_words(verdict | {"rows": 5, "rows_needed": {"base": 12}}, "done")
    assert own.headline == (
        "Too few rows to say whether the tuned model is better on its teacher's own rows: 5, and at least 12 are needed"
    )


def test_without_the_key_old_identities_stay() -> None:
    assert "foreign" not in EvaluateConfig().identity() and not EvaluateConfig().reads()
