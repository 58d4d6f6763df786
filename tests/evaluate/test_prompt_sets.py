"""Sets of prompts in the formats that they are published in, and of one's own; and the page on which people rate answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair
from alpaca_pipe.evaluate.judge.prompt_sets import read_prompts
from alpaca_pipe.evaluate.judge.rating_page import rating_page, read_ratings, side_of
from alpaca_pipe.evaluate.judge.win_rates import pair_summary
from tests.browser import chromium, reload_until


@pytest.mark.parametrize(
    ("name", "count", "turns", "answers", "categories"),
    [
        ("self_instruct_252_user_oriented.jsonl", 252, 1, 252, 71),
        ("vicuna_80_questions.jsonl", 80, 1, 0, 9),
        ("mt_bench_80_questions.jsonl", 80, 2, 0, 8),
        ("alpaca_eval_805.json", 805, 1, 803, 5),
    ],
)
def test_published_sets_are_read(
    data: Path, name: str, count: int, turns: int, answers: int, categories: int
) -> None:
    found = read_prompts(data / "prompts" / name, 10_000)
    assert len(found) == count and {len(one.turns) for one in found} == {turns}
    assert sum(bool(one.answer) for one in found) == answers
    assert len({one.category for one in found}) == categories
    assert len(read_prompts(data / "prompts" / name, 7)) == 7


def test_an_input_stands_below_its_instruction(data: Path) -> None:
    first = read_prompts(data / "prompts" / "self_instruct_252_user_oriented.jsonl", 1)[0]
    raw = json.loads(
        (data / "prompts" / "self_instruct_252_user_oriented.jsonl").read_text().split("\n")[0]
    )
    assert first.turns == (f"{raw['instruction']}\n\n{raw['instances'][0]['input']}",)
    assert first.instruction == raw["instruction"] and first.answer == raw["instances"][0]["output"]


_CHAT = (("user", "A"), ("assistant", "B"), ("user", "C"))


@pytest.mark.parametrize(
    ("name", "text", "turns"),
    [
        ("own.txt", "One?\n\nTwo?\n", [("One?",), ("Two?",)]),
        ("own.jsonl", '{"prompt": "One?"}\n{"question": "Two?"}\n', [("One?",), ("Two?",)]),
        (
            "own.json",
            '["One?", {"instruction": "Say", "input": "it"}]',
            [("One?",), ("Say\n\nit",)],
        ),
        (
            "chat.jsonl",
            json.dumps({"messages": [{"role": r, "content": c} for r, c in _CHAT]}),
            [("A", "C")],
        ),
    ],
)
def test_sets_of_ones_own(tmp_path: Path, name: str, text: str, turns: list[tuple[str]]) -> None:
    (tmp_path / name).write_text(text)
    assert [one.turns for one in read_prompts(tmp_path / name, 9)] == turns


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.jsonl", "", "holds no prompt"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": ""}', "row 2: it has no prompt"),
        ("a.jsonl", '{"prompt": "x"}\n{"pro', "line 2 is not JSON"),
        ("a.jsonl", '{"prompt": 7}', "row 1: a prompt is 7"),
        ("a.jsonl", "[1]", "row 1: it is neither"),
        (
            "a.json",
            '[{"id": 1, "prompt": "x"}, {"id": 1, "prompt": "y"}]',
            "rows 1 and 2 have the same",
        ),
        ("a.jsonl", '{"turns": ["a", ""]}', "row 1: it has no prompt"),
        ("a.jsonl", "\ufffe".encode("utf-16").decode("latin-1"), "not JSON"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        read_prompts(tmp_path / name, 9)
    assert caught.value.cure


def pair(n: int, mine: str = "tuned one", theirs: str = "base one") -> AnswerPair:
    return AnswerPair(
        f"p{n}", 1, "", (f"Ask </script> {n}?",), (f"{mine} {n}",), (f"{theirs} {n}",)
    )


def test_the_page_is_blind_closed_and_whole() -> None:
    some = [*map(pair, range(20)), pair(90, "same", "same")]
    page = rating_page(some, 7)
    assert "default-src 'none'" in page and not re.search(r"(src|href)=\"?http", page)
    assert page.count("</script>") == 2  # what a prompt says ends no script
    (text,) = re.findall(r'id="pairs">(.*?)</script>', page, re.DOTALL)
    shown = json.loads(text)
    assert len(shown) == 20 and set(shown[0]) == {"id", "turn", "asked", "A", "B"}
    assert {side_of(one, 7) for one in some} == {"A", "B"}
    assert page == rating_page(some, 7) != rating_page(some, 8)


def test_ratings_are_counted_for_whom_they_were_given(tmp_path: Path) -> None:
    some, file = [pair(n) for n in range(6)], tmp_path / "ratings.json"
    best = {n: side_of(some[n], 7) for n in range(4)}
    said = [{"id": f"p{n}", "turn": 1, "choice": side} for n, side in best.items()]
    said.append({"id": "p4", "turn": 1, "choice": "tie"})
    file.write_text(json.dumps({"ratings": said}))
    found = pair_summary(some[:5], read_ratings(file, some, 7), 0)
    assert (found["wins"], found["losses"], found["ties"], found["unread"]) == (4, 0, 1, 0)
    for bad, says in (
        ("{}", "not a file of ratings"),
        ('{"ratings": [{"id": "q", "turn": 1, "choice": "A"}]}', "not of these answers"),
        ('{"ratings": [{"id": "p1", "turn": 1, "choice": "both"}]}', "not of these answers"),
    ):
        file.write_text(bad)
        with pytest.raises(UserError, match=says):
            read_ratings(file, some, 7)


def test_a_person_rates_in_a_browser(tmp_path: Path) -> None:
    some, page = [pair(n) for n in range(3)], tmp_path / "rating.html"
    page.write_text(rating_page(some, 7))
    with chromium() as browser:
        shown = browser.new_page()
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.on(
            "request", lambda request: faults.append(request.url) if "http" in request.url else None
        )
        shown.goto(page.as_uri())
        seen = [shown.inner_text("#A")]
        shown.click("#say-A")
        shown.keyboard.press("t")
        shown.keyboard.press("b")
        assert "3 rated" in shown.inner_text("#place")
        reload_until(
            shown, lambda: shown.inner_text("#place") == "Pair 1 of 3, 3 rated"
        )  # nothing of it is lost
        with shown.expect_download() as saved:
            shown.click("#save")
        saved.value.save_as(tmp_path / "ratings.json")
    said = json.loads((tmp_path / "ratings.json").read_text())["ratings"]
    assert not faults and [one["choice"] for one in said] == ["A", "tie", "B"]
    (first,) = (one for one in some if one.prompt == said[0]["id"])
    assert seen == [(first.tuned if side_of(first, 7) == "A" else first.other)[0]]
    assert len(read_ratings(tmp_path / "ratings.json", some, 7)) == 6


def test_every_turn_has_room_under_every_template(tmp_path: Path) -> None:
    """What cannot be asked is known before a model is, counted and said: a first turn takes its prompt along, a later one falls out."""
    from alpaca_pipe.evaluate.judge.judge_set import judge_set
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.base import Checkpoint
    from alpaca_pipe.weights.tiny import build_tiny

    (tmp_path / "base").mkdir()
    build_tiny(tmp_path / "base")
    tokenizer = load_tokenizer(Checkpoint(str(tmp_path / "base")))
    chat = {"ours": Encoder(tokenizer, TEMPLATES["vicuna"])}
    file = tmp_path / "own.jsonl"
    rows = [
        {"id": "fits", "turns": ["One.", "Two."], "answer": "x"},
        {"id": "second too long", "turns": ["One.", "Two. " * 60], "answer": "x"},
        {"id": "first too long", "turns": ["One. " * 120, "Two."], "answer": "x"},
        {"id": "no answer", "turns": ["One."]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    teacher = {"kind": "openai_chat", "model": "j", "base_url": "http://127.0.0.1:9/v1"}
    how = Judging.model_validate(
        {"teacher": teacher, "prompts": str(file), "against": "file", "answer_tokens": 20},
        context={"folder": str(tmp_path)},
    )
    found = judge_set(how, [], chat, 300)
    assert [(one.id, len(one.turns)) for one in found.prompts] == [
        ("fits", 2),
        ("second too long", 1),
    ]
    assert (found.left_out, found.no_answer, found.turns_left_out, found.turns) == (2, 1, 1, 3)
    assert "1 prompts are left out: too long" in found.sentence()
    assert "1 later turns are left out" in found.sentence()
    alone = judge_set(how, [], {**chat, "plain": Encoder(tokenizer, TEMPLATES["alpaca"])}, 900)
    assert [len(one.turns) for one in alone.prompts] == [1, 1, 1] and alone.turns_left_out == 3


def test_what_a_judge_needs_is_looked_at_before_anything_is_paid(tmp_path: Path) -> None:
    from alpaca_pipe.evaluate.config import EvaluateConfig
    from alpaca_pipe.evaluate.stage import STAGE

    assert STAGE.prove
    prompts, ratings = tmp_path / "own.jsonl", tmp_path / "ratings.json"
    prompts.write_text('{"id": "a", "prompt": "Say a."}\n')
    teacher = {"kind": "openai_chat", "model": "j", "base_url": "http://127.0.0.1:9/v1"}

    def proved(**more: str) -> None:
        config = EvaluateConfig.model_validate(
            {"judge": {"teacher": teacher, **more}}, context={"folder": str(tmp_path)}
        )
        assert STAGE.prove
        STAGE.prove(config, {}, lambda said: None)

    ratings.write_text("{}")
    with pytest.raises(UserError, match=r"ratings\.json is not a file of ratings"):
        proved(ratings="ratings.json")
    ratings.write_text('{"ratings": [{"id": "b", "turn": 1, "choice": "A"}]}')
    with pytest.raises(UserError, match="rates the prompt 'b', which is not among the 1"):
        proved(prompts="own.jsonl", ratings="ratings.json")
    prompts.write_text("{}\n")
    with pytest.raises(UserError, match="it has no prompt"):
        proved(prompts="own.jsonl")


def test_lm_eval_is_looked_for_before_anything_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    from alpaca_pipe.evaluate.config import EvaluateConfig
    from alpaca_pipe.evaluate.stage import STAGE

    monkeypatch.setenv("LM_EVAL_PYTHON", "/no/such/python")
    assert STAGE.prove
    with pytest.raises(UserError, match="names /no/such/python, which is no program"):
        STAGE.prove(EvaluateConfig.model_validate({"lm_eval": {"tasks": ("x",)}}), {}, print)
