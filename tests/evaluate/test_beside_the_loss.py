"""What is measured beside the loss: instructions followed, habits of answering, what was forgotten; on a tiny LLaMA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.evaluate.changes import Line, changes
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.evaluations.answer_habits import echoes, repeats_itself
from alpaca_pipe.evaluate.evaluations.forgetting_suite import questions, right
from alpaca_pipe.evaluate.proportions import paired_shares, z_of
from alpaca_pipe.evaluate.stage import STAGE
from tests.evaluate.conftest import World

ASKED = EvaluateConfig(
    samples=0, rules=34, habits=12, forgetting=True, answer_tokens=12, batch_tokens=8192
)


@pytest.fixture(scope="module")
def done(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("beside")
    return folder, dict(STAGE.run(ASKED, world.bench(folder)).summary)


def test_every_prompt_is_answered_and_judged(done: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = done
    rows = list(read_jsonl(folder / "rules.jsonl"))
    assert len(rows) == summary["rules"]["prompts"] == 34
    assert sum(not row["tuned_broken"] for row in rows) == pytest.approx(
        34 * summary["rules"]["kept"]["tuned"]["mean"], abs=0.01
    )
    total = summary["rules"]["compared"][-1]
    assert total["name"] == "all of them" and total["rows"] == 34
    assert sum(one["rows"] for one in summary["rules"]["compared"][:-1]) == 34
    asked = {name: count["asked"] for name, count in summary["rules"]["by_rule"].items()}
    assert all(count["base"] <= asked[name] for name, count in summary["rules"]["by_rule"].items())


def test_habits_are_of_the_held_out_rows(done: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = done
    rows, habits = list(read_jsonl(folder / "habits.jsonl")), summary["habits"]
    assert len(rows) == habits["rows"] == 12 and habits["left_out"] == 0
    named = {one["name"]: one for one in habits["compared"]}
    stopped = named["stopped by itself"]
    assert (
        stopped["base"] == 0 and stopped["tuned"] == sum(r["tuned_ended"] for r in rows) / 12 > 0.5
    )
    assert stopped["word"] == "better"


def test_a_tune_on_four_answers_is_measured_on_small_questions(
    done: tuple[Path, dict[str, Any]],
) -> None:
    folder, summary = done
    rows = list(read_jsonl(folder / "forgetting.jsonl"))
    assert len(rows) == summary["forgetting"]["questions"] == len(questions())
    assert all(len(row["base"]) == len(row["tuned"]) == 2 for row in rows)
    (total,) = (o for o in summary["forgetting"]["compared"] if o["name"] == "all of them")
    assert total["base"] == pytest.approx(sum(all(r["base"]) for r in rows) / len(rows), abs=1e-4)
    first, second = (sum(row["base"][n] for row in rows) for n in (0, 1))
    assert total["noise"] == pytest.approx(abs(first - second) / len(rows), abs=1e-4)
    assert summary["forgetting"]["forgotten"] == [
        row["question"] for row in rows if all(row["base"]) and not any(row["tuned"])
    ]


def test_what_got_worse_is_said(done: tuple[Path, dict[str, Any]]) -> None:
    _, summary = done
    compared = [
        row for part in ("rules", "habits", "forgetting") for row in summary[part]["compared"]
    ]
    worse = [row for row in compared if row["word"] in ("worse", "maybe worse")]
    assert len(summary["worse"]) == len(worse) and summary["worse_sentence"]


def test_looks_are_counted_over_all_suites(done: tuple[Path, dict[str, Any]]) -> None:
    """Among so many lines one in twenty shows something by chance: a word that is sure of one suite's lines alone is not enough."""
    folder, summary = done
    compared = [
        row for part in ("rules", "habits", "forgetting") for row in summary[part]["compared"]
    ]
    assert summary["looks"] == len(compared) > 20
    habits = list(read_jsonl(folder / "habits.jsonl"))
    base, tuned = ([row[f"{who}_ended"] for row in habits] for who in ("base", "tuned"))
    wide = paired_shares(tuned, base, z_of(looks=summary["looks"]))
    stopped = next(row for row in compared if row["name"] == "stopped by itself")
    assert (stopped["word"] == "better") == (wide.lo > 0)
    alone = changes([Line("s", "n", [True] * 10, [True] * 4 + [False] * 6)])[0]
    among = changes([Line("s", str(n), [True] * 10, [True] * 4 + [False] * 6) for n in range(22)])
    assert (alone.word, among[0].word) == ("worse", "maybe worse")


def test_off_it_costs_nothing_and_leaves_old_steps_as_they_are(
    world: World, tmp_path: Path
) -> None:
    summary = STAGE.run(EvaluateConfig(samples=0), world.bench(tmp_path)).summary
    assert not {"rules", "habits", "forgetting", "worse"} & summary.keys()
    assert not list(tmp_path.glob("rules.jsonl"))
    added = {"rules", "habits", "forgetting", "answer_tokens", "min_difference"}
    assert not added & EvaluateConfig().identity().keys()
    assert {"rules", "answer_tokens"} <= EvaluateConfig(rules=3, answer_tokens=9).identity().keys()


def test_a_stop_after_the_base_loses_none_of_its_answers(world: World, tmp_path: Path) -> None:
    config = EvaluateConfig(samples=0, rules=3, answer_tokens=4)
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(Stopped):
        STAGE.run(config, world.bench(tmp_path / "one", stopping))
    again = STAGE.run(config, world.bench(tmp_path / "one")).summary
    assert again == STAGE.run(config, world.bench(tmp_path / "two")).summary


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("What is the largest ocean on the Earth?", "what is the largest ocean on earth", True),
        ("What is the largest ocean on the Earth?", "The largest ocean is the Pacific.", False),
        ("Name it.", "Name it.", False),
    ],
)
def test_an_echo_is_six_words_of_the_question(question: str, answer: str, found: bool) -> None:
    assert echoes(question, answer) is found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("it is good and it is good and it is good and it is good", True),
        ("a\nb\na\nc\na", True),
        ("The cat sat on the mat, and the dog sat on the rug.", False),
        ("", False),
        ("one two", False),
    ],
)
def test_repetition(answer: str, found: bool) -> None:
    assert repeats_itself(answer) is found


def test_a_tie_is_not_right() -> None:
    assert right([1.0, 2.0, 1.5, 3.0]) and not right([1.0, 1.0, 2.0, 3.0])
