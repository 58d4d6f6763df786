"""The stage: pairs from answers that a model draws or a teacher sells, compared by rules or by a judge over real HTTP, and from
rows that kept a worse answer; nothing is lost without a word, and nothing is paid for twice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import read_jsonl, tree_digest, write_jsonl
from alpaca_pipe.core.own_function import OwnFunction
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.preferences import EQUAL, read_preferences
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pairs.answer_rules import score
from alpaca_pipe.pairs.choosing import choose, distinct
from alpaca_pipe.pairs.config import PairJudging, PairsConfig
from alpaca_pipe.pairs.prompts import PromptAnswer, rows_to_ask
from alpaca_pipe.pairs.scoring_answers import by_rule
from alpaca_pipe.pairs.stage import estimate, run
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.tiny import build_tiny
from tests.evaluate.test_judge import teacher
from tests.proving.start import Proving, proving
from tests.train.conftest import Said

Bench = Callable[..., StageContext]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Proving]:
    with proving(tmp_path / "books.sqlite", judge="longer", cached=0, reasoning=0) as running:
        yield running


@pytest.fixture
def bench(tiny: Path, tmp_path: Path) -> Iterator[Bench]:
    rows = [
        Example.of(f"Say {n} in words", "loudly" if n % 2 else "", f"word{n}", Origin("seed"))
        for n in range(9)
    ]
    write_jsonl(tmp_path / "train.jsonl", (row.to_row() for row in rows))
    journal = Journal.open(tmp_path / "ledger.sqlite")

    def make(name: str, stopping: Callable[[], bool] = lambda: False) -> StageContext:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return StageContext(
            folder,
            {"curate/train.jsonl": tmp_path / "train.jsonl"},
            {"base": BaseTable(model=tiny)},
            3,
            journal,
            "tea",
            "run",
            Said(),
            stopping,
        )

    yield make
    journal.close()


def config(**more: Any) -> PairsConfig:
    return PairsConfig(
        **{  # type: ignore[arg-type]
            "num_generations": 3,
            "max_completion_length": 12,
            "count": 8,
            "template": "alpaca",
            **more,
        }
    )


def results(folder: Path) -> dict[str, str]:
    return {path.name: tree_digest(path) for path in folder.iterdir() if path.is_file()}


def shortest(question: str, answer: str, ended: bool) -> float:
    return -len(answer)


def test_drawn_answers_by_a_rule_of_ones_own_and_a_stop_that_costs_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "def shortest(question, answer, ended):\n    return 1 / (1 + len(answer))\n"
    )
    own = config(rule=OwnFunction(file=tmp_path / "mine.py", function="shortest"))
    whole = bench("whole")
    said = run(own, whole).summary
    assert said["rows"] == 8 == said["pairs"] + said["ties"] + sum(said["lost"].values())
    assert said["longer"] == 0.0 and said["margin"] > 0
    for row in read_jsonl(whole.folder / "pairs.jsonl"):
        found = Preference.from_row(row)
        assert len(found.chosen[0].text) < len(found.rejected[0].text)
        assert found.origin.details["judge"] == "mine.py:shortest"
    stopped, asked = bench("stopped"), [0]

    def stopping() -> bool:
        asked[0] += 1
        return asked[0] in (1, 3)  # before the draws, and before the comparison

    for _ in range(20):
        try:
            run(own, replace(stopped, stopping=stopping))
            break
        except Stopped:
            continue
    assert asked[0] >= 4  # stopped twice, and gone on
    assert results(stopped.folder) == results(whole.folder)


def test_a_rule_that_gives_no_number(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def bad(question, answer, ended):\n    return 'good'\n")
    own = config(rule=OwnFunction(file=tmp_path / "mine.py", function="bad"))
    with pytest.raises(UserError, match=r"mine.py:bad gives no number"):
        run(own, bench("bad"))


def judged(url: str, concurrency: int = 16) -> PairJudging:
    return PairJudging(teacher=teacher(url, concurrency=concurrency))


def test_a_teacher_and_a_judge_give_the_same_pairs_at_any_concurrency(
    bench: Bench, server: Proving, tmp_path: Path
) -> None:
    found = []
    for number in (1, 16):
        journal = Journal.open(tmp_path / f"ledger{number}.sqlite")
        at = replace(bench(f"at{number}"), journal=journal)
        how = config(
            answers="teacher",
            teacher=teacher(server.url, concurrency=number),
            judge=judged(server.url, number),
        )
        said = run(how, at).summary
        assert said["answers"] == 24 and said["pairs"] > 0
        assert said["longer"] == 1.0  # by that judge's liking
        found.append(results(at.folder))
        asked = server.state()["answered"]
        run(how, at)
        assert server.state()["answered"] == asked  # all of it is stored
        journal.close()
    assert found[0] == found[1]


def test_a_judge_that_is_down(bench: Bench, server: Proving) -> None:
    at = bench("down")
    how = config(answers="teacher", teacher=teacher(server.url), judge=judged("http://127.0.0.1:9"))
    with pytest.raises(UserError):
        run(how, at)
    asked = server.state()["answered"]
    assert asked == 24
    run(how.model_copy(update={"judge": judged(server.url)}), at)
    pairs = list(read_jsonl(at.folder / "judgements.jsonl"))
    assert server.state()["answered"] == asked + len(pairs)  # the answers were not bought again


def test_a_judge_of_whom_nothing_can_be_read(bench: Bench, server: Proving) -> None:
    server.weather(judge_broken=1.0)
    how = config(answers="teacher", teacher=teacher(server.url), judge=judged(server.url))
    with pytest.raises(UserError, match="pairs.judge: none of the first 16 judgements"):
        run(how, bench("broken"))


def test_one_order_alone_is_no_preference(bench: Bench, server: Proving) -> None:
    """A judge that always takes the first: every two answers are tied, and so no prompt gives a pair."""
    server.weather(judge="first")
    how = config(answers="teacher", teacher=teacher(server.url), judge=judged(server.url))
    at = bench("first")
    with pytest.raises(UserError, match="none of 8 prompts gave a pair") as said:
        run(how, at)
    assert len(list(read_jsonl(at.folder / "ties.jsonl"))) == 8
    assert "it chooses by place and not by answer" in said.value.what
    assert "another pairs.judge" in said.value.cure  # and not more answers, which it would tie too


def test_rows_that_kept_a_worse_answer(bench: Bench, tmp_path: Path) -> None:
    rejected = [Message("assistant", "worse").to_row()]
    rows = [
        Example.of("A?", "", "one", Origin("imported", "f#1", (), {"rejected": rejected})),
        Example.of("B?", "in", "two", Origin("generated", "r", (), {"draft": "first try"})),
        Example.of("C?", "", "three", Origin("generated", "r", (), {"draft": "three"})),
        Example.of("D?", "", "four", Origin("seed")),
    ]
    file = tmp_path / "kept.jsonl"
    write_jsonl(file, (row.to_row() for row in rows))
    at = replace(bench("kept"), inputs={"curate/train.jsonl": file})
    said = run(config(answers="kept"), at).summary
    assert (said["pairs"], said["rows"], sum(said["lost"].values())) == (2, 4, 2)
    found = [Preference.from_row(row) for row in read_jsonl(at.folder / "pairs.jsonl")]
    assert [one.rejected[0].text for one in found] == ["worse", "first try"]
    assert found[1].input == "in"


def test_a_file_of_labels(bench: Bench, tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n}", "completion": f"A{n}", "label": n % 2 == 0} for n in range(4)]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    at = bench("labels")
    said = run(config(answers="kept", **{"from": file}), at).summary
    assert said["pairs"] == 4
    kept = [Preference.from_row(row).label for row in read_jsonl(at.folder / "pairs.jsonl")]
    assert kept == [True, False, True, False]


def test_rules_look_at_habits_alone() -> None:
    asked = "Name three colours of the rainbow"
    assert score(asked, "Three colours are red, green and blue.", True) == 1.0
    assert score(asked, "Three colours are red, green and blue.", False) == 0.8
    assert score(asked, "", True) < score(asked, "red", True) < 1.0
    assert score(asked, "colours " * 80, True) < 0.7


def test_best_and_worst_and_ties() -> None:
    rows = [Example.of(f"Q{n}", "", "x", Origin("seed")) for n in range(4)]
    answers = [[PromptAnswer("a", True), PromptAnswer("b", True), PromptAnswer("c", False)]] * 2 + [
        distinct([PromptAnswer("a", True), PromptAnswer("a", True), PromptAnswer(" ", True)]),
        [PromptAnswer("a", True), PromptAnswer("b", True)],
    ]
    given: Any = [[0.5, 1.0, 0.0], [0.5, 0.5, 0.5], [1.0], [None, 0.5]]
    found = choose(rows, answers, given, config())
    assert [(one.chosen[0].text, one.rejected[0].text) for one in found.pairs] == [("b", "c")]
    assert found.pairs[0].origin.details["margin"] == 1.0
    assert found.pairs[0].origin.details["ended"] == [True, False]
    assert len(found.ties) == 1 and sum(found.lost.values()) == 2
    none = choose(rows[:1], answers[:1], given[:1], config(least_margin=1.0))
    assert len(none.pairs) == 1
    assert not choose(rows[:1], answers[:1], [[0.5, 0.9, 0.0]], config(least_margin=1.0)).pairs


def test_a_plan_prices_answers_and_judgements(tiny: Path) -> None:
    known = EstimateInputs()
    base = {"base": BaseTable(model=tiny)}
    here = estimate(config(), base, known)
    assert here.requests.p50 == 0 and here.api.p50 == 0
    bought = estimate(
        config(answers="teacher", teacher=teacher("http://x"), judge=judged("http://x")),
        {},
        known,
    )
    assert bought.requests.p50 == 8 * 3 + 2 * 8 * 3
    assert bought.api.p50 > 0
    with pytest.raises(UserError, match="no model is named that answers"):
        estimate(config(), {}, known)


@pytest.mark.parametrize("given", [math.nan, math.inf])
def test_a_rule_that_gives_no_finite_number(given: float) -> None:
    row = Example.of("Say one", "", "One", Origin("imported", "x"))
    answers = [[PromptAnswer("one", True), PromptAnswer("two", True)]]
    with pytest.raises(UserError, match="gives no number"):
        by_rule([row], answers, lambda *asked: given, "mine.py:score")


def test_another_system_text_is_another_prompt(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    asked = [
        Example.of("Say hi", "", "Hi", Origin("imported", f"x{n}"), system)
        for n, system in enumerate(["You are a pirate", "You are a poet", "You are a poet"])
    ]
    write_jsonl(file, (row.to_row() for row in asked))
    found = rows_to_ask(PairsConfig(), {"curate/train.jsonl": file}, lambda row: None)
    assert [row.system for row in found] == ["You are a pirate", "You are a poet"]


@pytest.mark.parametrize(
    ("how", "cure", "never"),
    [
        ({"answers": "kept"}, "rows with a rejected answer", "num_generations"),
        ({}, "draw more answers a prompt", "another judge"),
        ({"rule": True}, "another rule", "another judge"),
    ],
)
def test_what_to_do_where_no_pair_is(
    bench: Bench, tmp_path: Path, how: dict[str, Any], cure: str, never: str
) -> None:
    """Only what this recipe can do is offered: nothing is drawn or judged of answers that rows kept."""
    if how.get("rule"):
        (tmp_path / "mine.py").write_text("def same(question, answer, ended):\n    return 1\n")
        how = {"rule": OwnFunction(file=tmp_path / "mine.py", function="same")}
    at = bench("none")
    if "rule" not in how and "answers" not in how:
        how = {"least_margin": 1.0}
    with pytest.raises(UserError) as said:
        run(config(**how), at)
    assert cure in said.value.cure and never not in said.value.cure


def test_a_tie_is_known_by_what_it_is_and_not_by_its_words(tmp_path: Path) -> None:
    """A row whose own text says so is not a pair of the same answers."""
    rows = [
        {"prompt": "Q?", "chosen": "they are the same", "rejected": "are the same"},
        {"prompt": "R?", "chosen": "yes", "rejected": "yes"},
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    aside: list[Any] = []
    assert len(list(read_preferences(file, aside=aside.append))) == 1
    assert [one.rule for one in aside] == [EQUAL]
