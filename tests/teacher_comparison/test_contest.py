"""Two teachers asked the same: a known answer, nothing bought twice, one cap, and a worse teacher that is seen to be worse."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_json, read_jsonl, write_jsonl
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.teacher_comparison.asking import ComparisonSetup, generation_of
from alpaca_pipe.teacher_comparison.entrants import Entrant, teacher_of
from alpaca_pipe.teacher_comparison.judging import RowJudgement
from alpaca_pipe.teacher_comparison.measures import PromptYield, figures, new_among
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to
from alpaca_pipe.teachers.scripted.scripted_teacher import recorded

RECIPE = """# a contest
name: vet
teacher: {kind: rehearsed, model: gpt-4.1-nano, served: served.jsonl}
budget: {api: 1}
generate: {count: 40, round_size: 8}
curate: {}
"""
PROMPTS = 16


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vet.yaml").write_text(RECIPE)
    return tmp_path


def told(*arguments: str, code: int = 0) -> str:
    """What the command prints on its output, run in this process."""
    done = CliRunner().invoke(app, ["-q", *arguments])
    if code == 2:
        assert isinstance(done.exception, UserError), done.output
        return str(done.exception)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def held(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        told("teachers", "vet.yaml", *arguments, "--pilot", str(PROMPTS), "--json")
    )
    return answer


def worse(home: Path, share: float) -> Path:
    """A teacher that answers as the script does, but leaves out a share of its tasks; recorded, for the prompts of the contest."""
    asked: list[Request] = []
    table = TeacherTable.model_validate({"kind": "rehearsed", "model": "gpt-4.1-mini"})

    class Listens:
        takes = table.takes

        async def ask(self, request: Request) -> Completion:
            asked.append(request)
            tasks = json.loads(answer_to(request.asked()))["tasks"]
            text = json.dumps({"tasks": tasks[: max(1, round(len(tasks) * (1 - share)))]})
            return Completion(text, "stop", Usage(uncached_in=400, visible_out=200))

    async def work() -> None:
        terms = ComparisonSetup(
            GenerateConfig.model_validate({"count": 40, "round_size": 8}), 42, PROMPTS
        )
        generation = generation_of(terms, Entrant("worse", table), Listens())
        while generation.seats_left:
            await generation.round()
        replies = [await Listens().ask(request) for request in tuple(asked)]
        write_jsonl(
            home / "worse.jsonl",
            (recorded(request, reply) for request, reply in zip(asked, replies, strict=False)),
        )

    asyncio.run(work())
    (home / "worse.yaml").write_text(
        "teacher: {kind: rehearsed, model: gpt-4.1-mini, lines: worse.jsonl}\n"
    )
    return home / "worse.yaml"


def test_the_same_rows_at_four_times_the_price_are_four_times_as_dear(home: Path) -> None:
    found = held("gpt-4.1-nano", "gpt-4.1-mini")
    nano, mini = found["teachers"]
    assert nano["prompts"] == mini["prompts"] == nano["requests"] == PROMPTS
    assert nano["accepted"] == mini["accepted"] > PROMPTS and nano["verbs"] == mini["verbs"] > 5
    [pair] = found["pairs"]
    assert pair["dearer"] == pytest.approx(
        {"mean": 4.0, "lo": 4.0, "hi": 4.0}, rel=1e-3
    )  # 0.40 and 1.60 against 0.10 and 0.40
    assert (
        pair["new_in_first"] == 0
        and "gpt-4.1-nano is cheaper" in pair["says"]
        and "neither is shown to bring more" in pair["says"]
    )
    with Journal.open(home / "runs" / "ledger.sqlite", read_only=True) as journal:
        assert (
            journal.totals("vet", stage="contest").settled
            == nano["cost"] + mini["cost"]
            == found["money"]["spent"]
        )


def test_nothing_is_bought_twice_and_a_run_takes_over_what_was_bought(home: Path) -> None:
    first = held("gpt-4.1-nano", "gpt-4.1-mini")
    served = len(list(read_jsonl(home / "served.jsonl")))
    assert served == 2 * PROMPTS
    again = held("gpt-4.1-nano", "gpt-4.1-mini")
    assert [one["stored"] for one in again["entrants"]] == [PROMPTS, PROMPTS] and again[
        "expected"
    ] == [0, 0, 0]
    assert (
        again["teachers"] == first["teachers"]
        and len(list(read_jsonl(home / "served.jsonl"))) == served
    )
    done = json.loads(told("run", "vet.yaml", "generate.count=10", "curate.held_out=2", "--json"))
    assert (
        done["steps"]["generate"]["summary"]["from_store"] == 8
    )  # the first round is the same in every run
    assert len(list(read_jsonl(home / "served.jsonl"))) == served


def test_a_worse_teacher_is_seen_to_be_worse_with_intervals(home: Path) -> None:
    worse(home, 0.7)
    found = held("gpt-4.1-nano", "worse.yaml")
    good, bad = found["teachers"]
    assert bad["accepted"] < good["accepted"] and bad["name"] == "worse"
    [pair] = found["pairs"]
    assert pair["more"]["hi"] < 0 and pair["dearer"]["lo"] > 4
    assert "gpt-4.1-nano brings" in pair["says"] and "gpt-4.1-nano is cheaper" in pair["says"]


def test_one_cap_holds_over_all_and_a_higher_one_goes_on(home: Path) -> None:
    short = held("gpt-4.1-nano", "gpt-4.1-mini", "--cap", "0.0090")
    done = short["teachers"][0]["prompts"]
    assert 0 < done < PROMPTS and done == short["teachers"][1]["prompts"]
    assert "--cap" in short["short"] and short["money"]["spent"] <= 9_000_000
    whole = held("gpt-4.1-nano", "gpt-4.1-mini")
    assert whole["short"] == "" and whole["teachers"][1]["prompts"] == PROMPTS
    assert len(list(read_jsonl(home / "served.jsonl"))) == 2 * PROMPTS
    with pytest.raises(UserError, match="budget.api"):
        raise (
            CliRunner()
            .invoke(app, ["-q", "teachers", "vet.yaml", "gpt-4.1", "gpt-4o", "budget.api=0.0001"])
            .exception
        )  # type: ignore[misc]


def test_a_dry_run_prices_it_and_leaves_nothing(home: Path) -> None:
    priced = json.loads(
        told("teachers", "vet.yaml", "gpt-4.1-nano", "gpt-4.1-mini", "--dry-run", "--json")
    )
    assert priced["prompts"] == 50 and 0 < priced["expected"][1] < priced["cap"]
    assert sorted(path.name for path in home.iterdir()) == ["vet.yaml"]


def test_one_judge_grades_the_rows_of_all(home: Path) -> None:
    found = held("gpt-4.1-nano", "gpt-4.1-mini", "--judge", "gpt-4.1-nano")
    assert found["judged_by"].startswith(
        "gpt-4.1-nano, accuracy; 4.5 of 5 passes; it is one of those compared"
    )
    for one in found["teachers"]:
        assert (
            one["graded"] == one["kept"]
            and 0 < one["passed"] < one["graded"]
            and one["good"] == one["passed"]
        )
        assert one["accepted"] == one["good"] + one["rules"]["the judge"] + sum(
            one["rules"].get(rule, 0) for rule in set(one["rules"]) - {"the judge"}
        ) - (one["pieces"] - one["accepted"])
    page = Path(found["page"]).read_text()
    assert (
        "<script" not in page
        and found["side_by_side"][0]["rows"][0]["instruction"].split("'")[0][:20] in page
    )
    assert len(found["side_by_side"]) == 10
    assert read_json(Path(found["page"]).parent / "result.json")["teachers"] == found["teachers"]


def test_a_cap_that_the_judge_reaches_leaves_the_comparison_ungraded(home: Path) -> None:
    plain = held("gpt-4.1-nano", "gpt-4.1-mini")
    cap = f"{(plain['money']['spent'] + 200_000) / 1e9:f}"
    short = held("gpt-4.1-nano", "gpt-4.1-mini", "--judge", "gpt-4.1-nano", "--cap", cap)
    assert (
        short["short"].startswith("nothing is graded: ")
        and "--cap" in short["short"]
        and short["judged_by"] == ""
    )
    assert short["teachers"] == plain["teachers"] and short["pairs"] == plain["pairs"]
    assert "nothing is graded" in Path(short["page"]).read_text()
    whole = held("gpt-4.1-nano", "gpt-4.1-mini", "--judge", "gpt-4.1-nano", "--cap", "0.1")
    assert whole["short"] == "" and all(one["graded"] == one["kept"] for one in whole["teachers"])


def test_who_may_take_part(home: Path) -> None:
    (home / "bare.yaml").write_text("base: {model: tiny}\n")
    for names, says in (
        (["gpt-4.1-nano"], "two teachers at least"),
        (["gpt-4.1-nano", "gpt-4.1-nano"], "name each once"),
        (["gpt-4.1-nano", "nobody-knows-it"], "nobody-knows-it"),
        (["gpt-4.1-nano", "bare.yaml"], "no teacher in it"),
    ):
        assert says in told("teachers", "vet.yaml", *names, code=2)


def test_a_teacher_of_another_file_has_the_key_that_lies_beside_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHERS_KEY", "taken away again after the test")
    monkeypatch.delenv("OTHERS_KEY")
    (home / "other").mkdir()
    (home / "other" / "other.yaml").write_text(
        "teacher: {kind: openai_chat, model: gpt-4.1, api_key_env: OTHERS_KEY}\n"
    )
    (home / "other" / ".env").write_text("OTHERS_KEY=beside\n")
    teacher_of(load_recipe("vet.yaml", CATALOG), "vet.yaml", "other/other.yaml")
    assert os.environ["OTHERS_KEY"] == "beside"


def test_the_price_of_one_model_does_not_go_over_to_another(home: Path) -> None:
    (home / "own.yaml").write_text(
        RECIPE.replace("served: served.jsonl", "price: {in: 9, out: 9}, identity: mine")
    )
    recipe = load_recipe("own.yaml", CATALOG)
    other = teacher_of(recipe, "own.yaml", "gpt-4.1-mini")
    assert (
        other.price is None
        and other.identity_ is None
        and teacher_of(recipe, "own.yaml", "gpt-4.1-nano").price
    )


def entry(rows: Sequence[str], cost: int) -> PromptYield:
    found = tuple(RowJudgement(Example.of(row, "", "out", Origin("generated"))) for row in rows)
    return PromptYield(1, 10, 10, cost, len(rows), found)


def test_intervals_of_what_has_no_spread_and_of_nothing() -> None:
    from decimal import Decimal

    same = [entry(["Write a poem.", "List nine rivers of Asia."], 100)] * 12
    none = [entry([], 100)] * 12
    found, [pair] = figures(
        [("a", "m"), ("b", "n")], [same, none], [{}, {}], Decimal("0.7"), "unicode"
    )
    assert tuple(found[0].a_prompt) == (2, 2, 2) and tuple(found[0].an_accepted) == (50, 50, 50)
    assert (
        found[1].to_row()["an_accepted"] == {"mean": None, "lo": None, "hi": None}
        and found[0].verbs == 2
    )
    assert (
        "do not compare" in pair.says
        and "a brings 2.00 [2.00, 2.00] rows a prompt more than b" in pair.says
    )
    assert pair.new_in_first == 1 and pair.new_in_second is None


def test_novelty_is_rouge_l_at_the_likeness_of_the_recipe() -> None:
    from decimal import Decimal

    mine, theirs = (
        ["Name three red fruits", "Explain tides"],
        ["Name three red berries", "Sing a song"],
    )
    assert new_among(mine, theirs, Decimal("0.7"), "unicode") == 0.5  # F of the first is 0.75
    assert new_among(mine, theirs, Decimal("0.75"), "unicode") == 1


@pytest.mark.slow
@pytest.mark.local
def test_the_embedded_model_at_two_settings(home: Path) -> None:
    (home / "vet.yaml").write_text(
        RECIPE.replace(
            "{count: 40, round_size: 8}",
            "{style: two-step, seeds: short, count: 9, round_size: 8, shown: 4, max_tokens: 60}",
        )
    )
    for name, keys in (("free", ""), ("greedy", ", extra_body: {top_k: 1}")):
        (home / f"{name}.yaml").write_text(
            f"teacher: {{kind: local_server, model: smollm2-135m-instruct{keys}}}\n"
        )
    found = held("free.yaml", "greedy.yaml")
    assert all(one["requests"] >= PROMPTS and one["cost"] == 0 for one in found["teachers"])
    assert "cost" in found["pairs"][0]["says"] or "costs nothing" in found["pairs"][0]["says"]
