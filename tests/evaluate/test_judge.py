"""A judge over real HTTP: what its likings for a place or for length do to the rates, what is not read, what a stop leaves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_words import even_in_words, judge_lines, unsteady
from alpaca_pipe.evaluate.judge.judged import judged
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion, judge_all
from alpaca_pipe.evaluate.judge.win_rates import grade_summary, pair_summary
from alpaca_pipe.evaluate.stage import STAGE
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.weights.base import BaseTable
from tests.evaluate.conftest import Said, World
from tests.proving.books import reading
from tests.proving.start import Proving, proving

PRICE = {"in": Decimal("0.15"), "out": Decimal("0.60")}


def teacher(url: str, **more: Any) -> TeacherTable:
    return TeacherTable.model_validate(
        {
            "kind": "openai_chat",
            "model": "judge",
            "base_url": url,
            "price": PRICE,
            "concurrency": 16,
            "max_attempts": 1,
            **more,
        }
    )


def pairs(count: int, seed: int = 0, longer: float = 0.5) -> list[AnswerPair]:
    """Answers of 20 to 200 letters; longer: share of pairs in which the tuned one is the longer."""
    draw, found = random.Random(seed), []
    for n in range(count):
        sizes = sorted(draw.sample(range(20, 200), 2), reverse=draw.random() < longer)
        mine, theirs = ("t" * sizes[0] + str(n), "o" * sizes[1] + str(n))
        found.append(
            AnswerPair(f"p{n}", 1, ("writing", "facts")[n % 2], (f"Say {n}.",), (mine,), (theirs,))
        )
    return found


def bench(folder: Path, caps: Caps | None = None) -> StageContext:
    (folder / "own").mkdir(parents=True, exist_ok=True)
    journal = Journal.open(folder / "ledger.sqlite")
    return StageContext(
        folder / "own", {}, {}, 42, journal, "tea", "run-1", Said(), lambda: False, caps or Caps()
    )


def of(url: str, folder: Path, some: list[AnswerPair], **how: Any) -> dict[str, Any]:
    at = bench(folder)
    found = judged(Judging(teacher=teacher(url), **how), some, at)
    at.journal.close()
    summary: dict[str, Any] = found["judge"]
    return summary


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Proving]:
    with proving(tmp_path / "books.sqlite", judge="first", cached=0, reasoning=0) as running:
        yield running


def test_a_judge_that_always_takes_the_first_ends_at_a_half(
    server: Proving, tmp_path: Path
) -> None:
    some = pairs(60, longer=0.9)
    some[3] = replace(some[3], other=some[3].tuned)
    found = of(server.url, tmp_path, some)
    assert found["rate"] == 0.5 and found["ties"] == 60 and found["same"] == 1
    assert found["first"] == 1.0 and found["agreed"] == 0.0 and found["requests"] == 118
    assert found["bootstrap"] == {"mean": 0.5, "lo": 0.5, "hi": 0.5}
    around = found["interval"]  # all pairs agree, and that says something of 60 pairs alone
    assert around == found["wilson"] and 0.37 < around["lo"] < 0.5 < around["hi"] < 0.63
    assert found["length_controlled"]["mean"] == pytest.approx(0.5)
    lines = list(judge_lines(found))
    assert (
        "stood first in 100% of its choices, the same in both orders of 0%: it chooses by place"
        in lines[1]
    )
    assert server.state()["answered"] == 118
    rows = list(read_jsonl(tmp_path / "own" / "judgements.jsonl"))
    assert len(rows) == 118 and {row["tuned"] for row in rows} == {"first", "second"}


def independently(some: list[AnswerPair], scores: list[float]) -> float:
    """The length-controlled rate by another road: torch's L-BFGS on the same likelihood and prior."""
    import torch

    apart = torch.tensor([float(len(p.tuned[0]) - len(p.other[0])) for p in some]).double()
    lengths = torch.tanh(apart / apart.std(correction=0))
    at = torch.zeros(2, dtype=torch.double, requires_grad=True)
    wanted = torch.tensor(scores).double()
    steps = torch.optim.LBFGS(
        [at], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        steps.zero_grad()
        logits = at[0] + at[1] * lengths
        value = (
            torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
            + (at[0] ** 2 + (at[1] / 1000) ** 2) / 2
        )
        value.backward()
        return value

    steps.step(loss)
    return float(torch.sigmoid(at.detach()[0]))


def test_a_judge_that_likes_length_is_corrected(server: Proving, tmp_path: Path) -> None:
    server.weather(judge="longer")
    some = pairs(150, seed=4, longer=0.8)
    found = of(server.url, tmp_path, some)
    assert found["rate"] > 0.7 and found["longer"] == found["rate"] and found["agreed"] == 1.0
    even = found["length_controlled"]
    assert abs(even["mean"] - 0.5) < 0.06 and found["rate"] - even["mean"] > 0.2
    scores = [float(len(p.tuned[0]) > len(p.other[0])) for p in some]
    assert even["mean"] == pytest.approx(independently(some, scores), abs=0.06)
    assert (even["lo"], even["hi"]) == (
        0,
        1,
    )  # no pair of equal length was told apart by anything else
    assert found["length_says"] == "length alone tells every choice"


def unequal(apart: list[int], scores: list[float]) -> dict[str, Any]:
    """The summary of pairs that differ by so many characters, and were judged so."""
    some = [
        AnswerPair(f"p{n}", 0, "", ("ask",), ("x" * (500 + by),), ("x" * 500,))
        for n, by in enumerate(apart)
    ]
    order = {1.0: ("A", "B"), 0.0: ("B", "A"), 0.5: ("A", "A"), 0.75: ("A", "tie")}
    said = [
        Opinion(one, place, value, "", "")
        for one, score in zip(some, scores, strict=True)
        for place, value in zip(("first", "second"), order[score], strict=True)
    ]
    return pair_summary(some, said, 1)


@pytest.mark.parametrize(
    ("apart", "scores", "says"),
    [
        ([-9, -8, -7, -6, -5, -4, -3, -2], [0] * 8, "the tuned answer was never the longer one"),
        ([-9, -8, -7, 0], [1, 0, 1, 0], "the tuned answer was never the longer one"),
        ([9, 8, 7, 6], [1, 0, 1, 0], "the tuned answer was never the shorter one"),
        ([5, 5, 5], [1, 0, 0.5], "the tuned answer was never the shorter one"),
        ([-9, 8, -7, 6], [1, 1, 1, 1], "every pair was won, whatever its lengths"),
        ([-9, 8, -7, 6], [0, 0, 0, 0], "every pair was lost, whatever its lengths"),
        ([-9, -3, 4, 6], [0, 1, 1, 1], "one difference of lengths parts all that were won"),
        ([-9, -3, 4, 6], [1, 1, 1, 0], "one difference of lengths parts all that were won"),
        ([-9, 2, 2, 6], [0, 0.5, 0.75, 1], "one difference of lengths parts all that were won"),
    ],
)
def test_a_rate_at_equal_length_that_cannot_be_known_is_not_told(
    apart: list[int], scores: list[float], says: str
) -> None:
    """It was told as 50 % of eight pairs that were all lost, the tuned answer being the shorter one of each."""
    found = unequal(apart, [float(score) for score in scores])
    assert found["length_controlled"] is None and found["length_says"].startswith(says)
    assert f"at equal length not known: {says}" in even_in_words(found)


def can_be_parted(apart: list[int], scores: list[float]) -> bool:
    """Albert and Anderson's condition, by trying every straight line that could part them: no best fit, if one does."""
    for turn in (1, -1):
        for at in {edge + by for edge in apart for by in (-0.5, 0, 0.5)}:
            sides = [(turn * (x - at), score) for x, score in zip(apart, scores, strict=True)]
            if all(
                (side >= 0 or score == 0) and (side <= 0 or score == 1) for side, score in sides
            ):
                return True
    return False


@given(
    st.lists(
        st.tuples(st.integers(-6, 6), st.sampled_from([0.0, 0.5, 0.75, 1.0])),
        min_size=2,
        max_size=9,
    )
)
@settings(deadline=None)
def test_a_narrow_rate_at_equal_length_is_told_only_where_a_best_fit_exists(
    rows: list[tuple[int, float]],
) -> None:
    apart, scores = [row[0] for row in rows], [row[1] for row in rows]
    found = unequal(apart, scores)
    even = found["length_controlled"]
    if not any(apart):
        assert even["mean"] == pytest.approx(found["rate"], abs=1e-5)
    elif max(apart) <= 0 or min(apart) >= 0 or can_be_parted(apart, scores):
        assert found["length_says"] and (even is None or (even["lo"], even["hi"]) == (0, 1))
    else:
        assert even["lo"] <= even["mean"] <= even["hi"] and found["length_says"] == ""


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"chose": 40, "first": 1.0, "agreed": 0.0}, "it chooses by place and not by answer"),
        ({"chose": 40, "first": 0.0, "agreed": 0.0}, "it chooses by place and not by answer"),
        ({"chose": 80, "first": 0.7, "agreed": 0.6}, "it likes one place"),
        ({"chose": 80, "first": 0.5, "agreed": 0.3}, "contradicts itself"),
        ({"chose": 80, "first": 0.5, "agreed": 0.9}, ""),
        ({"chose": 4, "first": 0.75, "agreed": 0.9}, ""),
        ({"chose": 1, "first": 1.0, "agreed": None}, ""),
    ],
)
def test_a_judge_that_cannot_be_heard_is_named(told: dict[str, Any], named: str) -> None:
    assert named in unsteady({"wins": 0, "losses": 0, **told})
    assert bool(unsteady({"wins": 0, "losses": 0, **told})) == bool(named)


@pytest.mark.parametrize("seed", range(3))
def test_quality_is_not_corrected_away(seed: int) -> None:
    """A judge that likes the tuned answers, whatever their length: the rate at equal length is the rate."""
    draw, some = random.Random(seed), pairs(300, seed)
    said = [
        Opinion(one, place, ("A" if (place == "first") == won else "B"), "", "")
        for one in some
        for won in [draw.random() < 0.8]
        for place in ("first", "second")
    ]
    found = pair_summary(some, said, 1)
    assert found["length_controlled"]["mean"] == pytest.approx(found["rate"], abs=0.03)
    scores = [float(s.value == "A") for s in said if s.place == "first"]
    assert found["length_controlled"]["mean"] == pytest.approx(
        independently(some, scores), abs=1e-5
    )
    assert set(found["by_category"]) == {"facts", "writing"}


def test_broken_replies_are_counted_and_nothing_is_lost(server: Proving, tmp_path: Path) -> None:
    server.weather(judge="longer", judge_broken=0.05)
    some = pairs(200, seed=2)
    found = of(server.url, tmp_path, some)
    rows = list(read_jsonl(tmp_path / "own" / "judgements.jsonl"))
    broken = [row for row in rows if row["said"] is None]
    assert len(rows) == 400 and 8 <= len(broken) == found["unread_replies"] <= 35
    assert all("no judgement in the reply" in row["reason"] and row["source"] for row in broken)
    assert found["unread"] == len({row["id"] for row in broken})
    assert found["wins"] + found["losses"] + found["ties"] + found["unread"] == 200
    assert found["at_worst"] < found["rate"] < found["at_best"]
    assert found["at_best"] - found["at_worst"] == pytest.approx(found["unread"] / 200, abs=1e-5)


def test_a_judge_of_whom_nothing_can_be_read_is_not_paid_on(
    server: Proving, tmp_path: Path
) -> None:
    server.weather(judge_broken=1.0)
    with pytest.raises(UserError, match="none of the first 16 judgements can be read"):
        of(server.url, tmp_path, pairs(60))
    assert server.state()["answered"] == 16


def test_what_was_judged_is_paid_for_once_and_to_the_nanodollar(
    server: Proving, tmp_path: Path
) -> None:
    server.weather(judge="longer")
    first = of(server.url, tmp_path, pairs(40))
    again = of(server.url, tmp_path, pairs(40))
    assert first == again and server.state()["answered"] == 80
    server.quiet()
    with reading(server.books) as books:
        (billed,) = books.execute("SELECT SUM(nanodollars) FROM requests").fetchone()
    journal = Journal.open(tmp_path / "ledger.sqlite")
    assert journal.totals("tea", class_="api").settled == billed
    journal.close()


def test_the_cap_holds(server: Proving, tmp_path: Path) -> None:
    at = bench(tmp_path, Caps(total=500_000))
    with pytest.raises(OverBudget):
        judged(Judging(teacher=teacher(server.url)), pairs(200), at)
    at.journal.close()


def test_grades_of_answers_alone(server: Proving, tmp_path: Path) -> None:
    server.weather(judge_broken=0.05)
    some = pairs(80, seed=3, longer=1.0)
    found = of(server.url, tmp_path, some, mode="grades")
    assert found["requests"] == 160 and found["mean"]["tuned"] > found["mean"]["other"]
    assert found["difference"]["lo"] > 0 and found["unread_replies"] > 0
    assert found["compared"] <= 80 - found["unread_replies"] / 2
    assert grade_summary([], 0)["difference"] is None


def test_a_judge_that_is_down_leaves_the_rest_done_and_is_taken_up_again(
    world: World, tmp_path: Path, server: Proving
) -> None:
    server.weather(judge="longer")
    config = EvaluateConfig(
        samples=0, judge=Judging(teacher=teacher("http://127.0.0.1:9"), answer_tokens=12)
    )
    step = tmp_path / "step"
    journal = Journal.open(tmp_path / "ledger.sqlite")
    with pytest.raises(UserError):
        STAGE.run(config, replace(world.bench(step), journal=journal))
    assert read_json(step / "verdict.json")["verdict"] == "better"
    notes = {
        name: (step / ".scratch" / f"{name}.json").stat().st_mtime_ns for name in ("base", "tuned")
    }
    assert len(list(read_jsonl(step / "answers.jsonl"))) == 16
    config = config.model_copy(
        update={"judge": Judging(teacher=teacher(server.url), answer_tokens=12)}
    )
    at = replace(world.bench(step), journal=journal)
    summary = STAGE.run(config, at).summary
    assert notes == {
        name: (step / ".scratch" / f"{name}.json").stat().st_mtime_ns for name in notes
    }
    assert summary["judge"]["pairs"] == 16 and summary["verdict"] == "better"
    assert any(one.startswith("judge: tuned preferred") for one in at.progress.sentences)  # type: ignore[attr-defined]
    outputs = read_json(step / "alpaca_eval_tuned.json")
    assert len(outputs) == 16 and set(outputs[0]) == {
        "instruction",
        "output",
        "generator",
        "dataset",
    }
    journal.close()


def test_plan_prices_the_judge(tmp_path: Path) -> None:
    base = {"base": BaseTable(model="smollm2-135m-instruct")}
    config = EvaluateConfig(judge=Judging(teacher=teacher("http://127.0.0.1:9"), count=50))
    found, plain = (
        STAGE.estimate(one, base, EstimateInputs()) for one in (config, EvaluateConfig())
    )
    assert found.requests.p50 == 100 and found.api.p50 > 0 == plain.api.p50
    assert "judged by judge" in found.says and "teacher" not in STAGE.uses
    priceless = config.judge and config.judge.teacher.model_copy(update={"price": None})
    with pytest.raises(UserError, match="price"):
        STAGE.estimate(EvaluateConfig(judge=Judging(teacher=priceless)), base, EstimateInputs())


def test_nobody_is_asked_about_answers_that_are_the_same() -> None:
    same = [replace(one, other=one.tuned) for one in pairs(3)]
    nobody: Any = type("Nobody", (), {"takes": frozenset()})()
    how = Judging(teacher=teacher("http://127.0.0.1:9"))
    assert asyncio.run(judge_all(same, nobody, how)) == []
    assert pair_summary(same, [], 0)["rate"] == 0.5


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"better": "B", "reason": "B is better: a clear answer"}', "B"),
        ("{'better': 'A'}", "A"),
        ('```json\n{"better": "tie"}\n```', "tie"),
        ("**better: B**", "B"),
        ("The second answer is better: a clearer one.", None),
        ("better: a (much) clearer answer is B", None),
        ("The second is better: a - if dull - correct one.", None),
        ("better: B (clearer)", "B"),
        ("Better: tie - both are right", "tie"),
    ],
)
def test_prose_is_no_choice(said: str, value: str | None) -> None:
    from alpaca_pipe.core.completion import Completion, Usage
    from alpaca_pipe.evaluate.judge.judge_requests import read_choice

    assert read_choice(Completion(said, "stop", Usage())).value == value


@pytest.mark.parametrize(
    "said", ["{'grade': 8}", '{"grade": 8/10}', "**Grade: 8/10**", '{"grade": "8", "reason": "x"}']
)
def test_a_grade_is_read_as_judges_write_it(said: str) -> None:
    from alpaca_pipe.core.completion import Completion, Usage
    from alpaca_pipe.evaluate.judge.judge_requests import read_judged_grade

    assert read_judged_grade(Completion(said, "stop", Usage())).value == 8


@pytest.mark.parametrize("prompts", [1, 5, 80])
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_no_interval_of_a_judge_has_width_0(prompts: int, score: float) -> None:
    """Where all agree, so many prompts may still hide some that do not: Wilson's limits, and of grades a share of them at the end
    of the scale."""
    one = {"first": {0.0: "B", 0.5: "tie", 1.0: "A"}, "second": {0.0: "A", 0.5: "tie", 1.0: "B"}}
    some = pairs(prompts)
    said = [
        Opinion(pair, place, one[place][score], "", "")  # type: ignore[arg-type]
        for pair in some
        for place in one
    ]
    found = pair_summary(some, said, 1)
    for name in ("interval", "length_controlled"):
        if found[name] is None:
            assert name == "length_controlled" and found["length_says"]
            continue
        low, high = found[name]["lo"], found[name]["hi"]
        assert 0 <= low < high <= 1 and low <= found[name]["mean"] <= high
        assert high - low > 0.5 / prompts**0.5 / 10
    grades = grade_summary(
        [Opinion(pair, who, 7, "", "") for pair in some for who in ("tuned", "other")],  # type: ignore[arg-type]
        1,
    )["difference"]
    assert grades["mean"] == 0 and grades["lo"] == -grades["hi"]
    unseen = 1 - 0.025 ** (1 / prompts)
    assert grades["hi"] == pytest.approx(9 * unseen, abs=1e-6)


def test_turns_of_one_prompt_are_one_opinion() -> None:
    some = [replace(pair, turn=turn) for pair in pairs(20) for turn in (1, 2)]
    said = [Opinion(pair, place, "tie", "", "") for pair in some for place in ("first", "second")]
    twice, once = pair_summary(some, said, 1), pair_summary(some[::2], said, 1)
    assert twice["pairs"] == 2 * once["pairs"] and twice["interval"] == once["interval"]
